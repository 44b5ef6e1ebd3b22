"""Tests of versions of stored files: how they differ, and the validators sent for them."""

import os
from pathlib import Path

import pytest

from trio_http.file_server import versions
from trio_http.file_server.versions import (
    age_of,
    is_settled,
    is_unchanged,
    modified_of,
    state_of,
    tag_of,
)
from trio_http.semantics.conditional import MISSING
from trio_http.semantics.validators import ETag

NOW = 1_700_000_000


def write(path: Path, data: bytes, nanoseconds: int = NOW * 10**9) -> os.stat_result:
    path.write_bytes(data)
    os.utime(path, ns=(nanoseconds, nanoseconds))
    return path.stat()


# Tags and dates


def test_tag_is_strong_and_contains_the_status(tmp_path: Path) -> None:
    status = write(tmp_path / "file", b"x" * 255, 0xABC)
    assert tag_of(status) == ETag(f"abc-ff-{status.st_ino:x}-{status.st_ctime_ns:x}")
    assert not tag_of(status).weak


def test_tag_changes_with_anything(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tags = [tag_of(write(path, b"old"))]
    tags.append(tag_of(write(path, b"new", NOW * 10**9 + 1)))  # in place, a nanosecond later
    tags.append(tag_of(write(path, b"longer", NOW * 10**9 + 1)))
    write(tmp_path / "other", b"longer", NOW * 10**9 + 1)
    (tmp_path / "other").replace(path)  # another file with the same time and length
    tags.append(tag_of(path.stat()))
    assert len(set(tags)) == len(tags)


def test_tag_changes_even_if_the_time_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tag = tag_of(write(path, b"old"))
    wait_for_the_clock_of(tmp_path)
    assert tag_of(write(path, b"new")) != tag  # in place, like rsync -t --inplace


def wait_for_the_clock_of(directory: Path) -> None:
    """Return when the kernel's clock for changes has advanced."""
    probe = directory / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()


def test_tag_stays_while_the_file_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tag = tag_of(write(path, b"data"))
    path.read_bytes()
    assert tag_of(path.stat()) == tag


def test_file_is_unchanged_until_its_version_differs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    status = write(path, b"old")
    with path.open("rb") as file:
        assert is_unchanged(file.fileno(), status)
        write(path, b"longer")
        assert not is_unchanged(file.fileno(), status)


def test_version_is_settled_once_the_next_change_will_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = write(tmp_path / "file", b"", 0)  # not the time of the status's change
    assert 0 <= age_of(status) < 3600 * 10**9
    monkeypatch.setattr(versions, "SETTLED", 3600 * 10**9)
    assert not is_settled(status)
    monkeypatch.setattr(versions, "SETTLED", 0)
    assert is_settled(status)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (NOW * 10**9 - 1, NOW - 1),
        (NOW * 10**9, NOW),
        (NOW * 10**9 + 999_999_999, NOW),
        ((NOW + 1) * 10**9, NOW),  # RFC 9110 8.8.2.1: not later than the response
        ((NOW + 10**9) * 10**9, NOW),
        (0, 0),
        (-1, -1),
        (-1_500_000_000, -2),
    ],
)
def test_date_is_the_second_of_the_last_change(
    tmp_path: Path, nanoseconds: int, expected: int
) -> None:
    status = write(tmp_path / "file", b"", nanoseconds)
    assert status.st_mtime_ns == nanoseconds
    assert modified_of(status, NOW + 0.9) == expected


# State for preconditions of changes


def test_state_contains_the_tags_of_all_codings(tmp_path: Path) -> None:
    status = write(tmp_path / "file", b"data")
    state = state_of(status)
    assert state.exists
    assert state.modified == NOW
    assert tag_of(status) in state.tags
    assert tag_of(status).coded("gzip") in state.tags  # made while it is sent


def test_state_of_no_file_is_missing() -> None:
    assert state_of(None) == MISSING
