"""Stored files as representations: their validators, and what may be sent in place of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from trio_http.apps import directory, stored
from trio_http.apps.directory import NOTHING_MORE, Allow, Directory
from trio_http.apps.stored import (
    SUFFIXES,
    Opened,
    Place,
    age_of,
    best_of,
    is_settled,
    modified_of,
    siblings_of,
    state_of,
    tag_of,
)
from trio_http.semantics.conditional import MISSING
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.validators import ETag

NOW = 1_700_000_000


@pytest.fixture(params=["descriptors", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open what is in a folder, whatever this system offers."""
    monkeypatch.setattr(directory, "RELATIVE", request.param == "descriptors")
    return str(request.param)


def write(path: Path, data: bytes, nanoseconds: int = NOW * 10**9) -> os.stat_result:
    path.write_bytes(data)
    os.utime(path, ns=(nanoseconds, nanoseconds))
    return path.stat()


# Tags and dates


def test_a_tag_is_strong_and_says_what_it_is_made_of(tmp_path: Path) -> None:
    status = write(tmp_path / "file", b"x" * 255, 0xABC)
    assert tag_of(status) == ETag(f"abc-ff-{status.st_ino:x}-{status.st_ctime_ns:x}")
    assert not tag_of(status).weak


def test_a_tag_is_another_as_soon_as_anything_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tags = [tag_of(write(path, b"old"))]
    tags.append(tag_of(write(path, b"new", NOW * 10**9 + 1)))  # in place, a nanosecond later
    tags.append(tag_of(write(path, b"longer", NOW * 10**9 + 1)))
    write(tmp_path / "other", b"longer", NOW * 10**9 + 1)
    (tmp_path / "other").replace(path)  # another file, of the same time and length
    tags.append(tag_of(path.stat()))
    assert len(set(tags)) == len(tags)


def test_a_tag_is_another_although_the_time_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tag = tag_of(write(path, b"old"))
    wait_for_the_clock_of(tmp_path)
    assert tag_of(write(path, b"new")) != tag  # in place, as rsync -t --inplace does


def wait_for_the_clock_of(folder: Path) -> None:
    """Return when the kernel gives changes another time than it has given the last one."""
    probe = folder / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()


def test_a_tag_stays_as_long_as_the_file_does(tmp_path: Path) -> None:
    path = tmp_path / "file"
    tag = tag_of(write(path, b"data"))
    path.read_bytes()
    assert tag_of(path.stat()) == tag


def test_a_version_is_settled_once_the_next_change_will_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = write(tmp_path / "file", b"", 0)  # which is not when its status was changed
    assert 0 <= age_of(status) < 3600 * 10**9
    monkeypatch.setattr(stored, "SETTLED", 3600 * 10**9)
    assert not is_settled(status)
    monkeypatch.setattr(stored, "SETTLED", 0)
    assert is_settled(status)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (NOW * 10**9 - 1, NOW - 1),
        (NOW * 10**9, NOW),
        (NOW * 10**9 + 999_999_999, NOW),
        ((NOW + 1) * 10**9, NOW),  # RFC 9110 8.8.2.1: not later than the answer
        ((NOW + 10**9) * 10**9, NOW),
        (0, 0),
        (-1, -1),
        (-1_500_000_000, -2),
    ],
)
def test_the_date_is_the_second_of_the_last_change(
    tmp_path: Path, nanoseconds: int, expected: int
) -> None:
    status = write(tmp_path / "file", b"", nanoseconds)
    assert status.st_mtime_ns == nanoseconds
    assert modified_of(status, NOW + 0.9) == expected


# Siblings


def found(root: Path, name: str = "file", allow: Allow = NOTHING_MORE) -> list[str]:
    with Directory(root, allow).folder() as folder:
        return list(siblings_of(folder, name, (root / name).stat()))


def test_siblings_are_found_by_their_suffixes_the_best_first(tmp_path: Path, way: str) -> None:
    for name in ("file", "file.gz", "file.br", "file.zst", "file.xz", "other.gz"):
        write(tmp_path / name, b"")
    assert found(tmp_path) == ["zstd", "br", "gzip"]
    assert found(tmp_path, "file.gz") == []


@pytest.mark.parametrize(("later", "counts"), [(-1, False), (0, True), (1, True)])
def test_a_sibling_has_to_be_as_new(tmp_path: Path, later: int, counts: object) -> None:
    write(tmp_path / "file", b"")
    write(tmp_path / "file.gz", b"", NOW * 10**9 + later)
    assert (found(tmp_path) == ["gzip"]) is counts


def test_a_sibling_has_to_be_a_regular_file(tmp_path: Path, way: str) -> None:
    write(tmp_path / "file", b"")
    (tmp_path / "file.gz").mkdir()
    os.mkfifo(tmp_path / "file.br")
    assert found(tmp_path) == []


def test_a_sibling_has_to_be_inside_unless_links_are_followed(tmp_path: Path, way: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write(root / "file", b"")
    write(tmp_path / "outside", b"")
    (root / "file.gz").symlink_to(tmp_path / "outside")
    (root / "file.br").symlink_to("nowhere")
    (root / "file.zst").symlink_to("file.zst")
    assert found(root) == []
    assert found(root, allow=Allow.LINKS) == ["gzip"]


def test_a_name_may_be_too_long_for_a_sibling(tmp_path: Path, way: str) -> None:
    write(tmp_path / ("x" * 255), b"")
    assert found(tmp_path, "x" * 255) == []


# Which one is sent


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A folder with a file, called ``file``, and its siblings."""
    write(tmp_path / "file", b"plain")
    for coding, suffix in SUFFIXES.items():
        write(tmp_path / f"file{suffix}", coding.encode())
    return tmp_path


def sent(root: Path, accepted: str | None) -> tuple[bytes, str | None, bool]:
    """What is in the file that is opened, the coding it is said to be in, and whether it varies."""
    with Directory(root).folder() as folder:
        siblings = siblings_of(folder, "file", (root / "file").stat())
        return told(best_of(folder, "file", siblings, accepted))


def told(file: Opened) -> tuple[bytes, str | None, bool]:
    with os.fdopen(file.descriptor, "rb") as opened:
        content = opened.read()
    assert file.name == "file"
    assert file.status.st_size == len(content)
    return content, file.coding, bool(file.siblings)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("deflate", None),  # nobody makes such files
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),  # RFC 9110 8.4.1.3
        ("GZIP", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("*", "zstd"),
        ("gzip, br;q=0.9", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.2", "gzip"),
        ("gzip;q=0", None),
        ("*, zstd;q=0, br;q=0", "gzip"),
        # Nothing that there is will do. That is for the gate to say.
        ("identity;q=0, deflate", None),
        ("*;q=0", None),
    ],
)
def test_what_suits_the_client_best_is_opened(
    family: Path, way: str, accepted: str | None, coding: str | None
) -> None:
    assert sent(family, accepted) == ((coding or "plain").encode(), coding, True)


def test_a_file_without_siblings_does_not_vary(family: Path) -> None:
    for suffix in SUFFIXES.values():
        (family / f"file{suffix}").unlink()
    assert sent(family, "gzip") == (b"plain", None, False)


def test_of_the_siblings_only_those_that_are_there_are_chosen_from(family: Path) -> None:
    (family / "file.zst").unlink()
    os.utime(family / "file.br", ns=(0, 0))
    assert sent(family, "zstd, br, gzip;q=0.1") == (b"gzip", "gzip", True)


@contextmanager
def as_somebody() -> Iterator[None]:
    """For a while, be a user whom files' modes mean something to, as they do not to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_sibling_that_cannot_be_opened_is_done_without() -> None:
    # In a folder that everybody can reach.
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        write(root / "file", b"plain")
        write(root / "file.gz", b"gzip")
        (root / "file").chmod(0o644)
        (root / "file.gz").chmod(0)
        with as_somebody():
            assert sent(root, "gzip") == (b"plain", None, True)


def test_a_file_that_is_gone_is_not_found(family: Path) -> None:
    (family / "file").unlink()
    with Directory(family).folder() as folder, pytest.raises(HTTPError) as refusal:
        best_of(folder, "file", ["gzip"], None)
    assert refusal.value.status == 404


# Once more, where it was found a moment ago


def sent_again(
    root: Path, siblings: tuple[str, ...], accepted: str | None = "gzip, br"
) -> tuple[bytes, str | None, bool]:
    with Directory(root).folder() as folder:
        return told(Place((), "file", siblings).look_again(folder, accepted))


def test_what_is_there_now_is_opened(family: Path, way: str) -> None:
    assert sent_again(family, ()) == (b"plain", None, False)
    assert sent_again(family, ("br", "gzip")) == (b"br", "br", True)
    assert sent_again(family, ("br", "gzip"), None) == (b"plain", None, True)
    (family / "file").write_bytes(b"newer")
    assert sent_again(family, ()) == (b"newer", None, False)
    assert sent_again(family, ("br", "gzip")) == (b"newer", None, False)
    write(family / "file.gz", b"newer, too", 10**9 * (NOW + 10**9))
    assert sent_again(family, ("br", "gzip")) == (b"newer, too", "gzip", True)


def test_a_sibling_that_is_gone_is_done_without(family: Path, way: str) -> None:
    (family / "file.br").unlink()
    assert sent_again(family, ("br", "gzip")) == (b"gzip", "gzip", True)
    (family / "file.gz").unlink()
    assert sent_again(family, ("br", "gzip")) == (b"plain", None, False)


@pytest.mark.parametrize("siblings", [(), ("gzip",)])
@pytest.mark.parametrize("becomes", ["nothing", "link", "folder", "fifo"])
def test_what_is_no_file_any_more_is_not_opened(
    family: Path, way: str, becomes: str, siblings: tuple[str, ...]
) -> None:
    path = family / "file"
    path.unlink()
    match becomes:
        case "link":
            path.symlink_to("file.gz")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    with pytest.raises((HTTPError, OSError)):
        sent_again(family, siblings, None)


# What preconditions of changes are held against


def test_a_file_is_known_by_the_tags_of_all_its_representations(family: Path) -> None:
    status = (family / "file").stat()
    with Directory(family).folder() as folder:
        state = state_of(folder, "file", status)
    assert state.exists
    assert state.modified == NOW
    assert tag_of(status) in state.tags
    assert tag_of(status).coded("gzip") in state.tags  # made while it is sent
    for suffix in SUFFIXES.values():
        assert tag_of((family / f"file{suffix}").stat()) in state.tags


def test_a_sibling_that_is_not_sent_any_more_has_no_say(family: Path) -> None:
    os.utime(family / "file.gz", ns=(0, 0))
    with Directory(family).folder() as folder:
        state = state_of(folder, "file", (family / "file").stat())
    assert tag_of((family / "file.gz").stat()) not in state.tags


def test_what_is_not_there_is_missing(family: Path) -> None:
    with Directory(family).folder() as folder:
        assert state_of(folder, "nothing", None) == MISSING
