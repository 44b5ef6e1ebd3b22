"""Tests of facts about files, remembered while the files do not change, up to a limit."""

import os
from pathlib import Path

import pytest

from trio_http.file_server import versions
from trio_http.file_server.cache import by_version
from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.versions import version_of


def test_fact_is_found_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "SETTLED", -1)  # as if the last change was long ago
    path = tmp_path / "file"
    path.write_bytes(b"one")
    known: VersionCache[str] = VersionCache()
    key = key_of(path.stat(), "text/plain")
    assert known.get(key) is None
    known.note(key, "fact")
    assert known.get(key_of(path.stat(), "text/plain")) == "fact"
    assert known.get(key_of(path.stat(), "text/html")) is None
    os.utime(path, (1, 1))
    assert known.get(key_of(path.stat(), "text/plain")) is None


def test_later_fact_replaces_the_earlier_one() -> None:
    known: VersionCache[str] = VersionCache()
    known.note((1,), "old")
    known.note((1,), "new")
    assert known.get((1,)) == "new"


def test_least_recently_used_fact_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_version, "REMEMBERED", 2)
    known: VersionCache[str] = VersionCache()
    known.note((1,), "first")
    known.note((2,), "second")
    assert known.get((1,)) == "first"  # makes it the most recently used
    known.note((3,), "third")
    assert [known.get((key,)) for key in (1, 2, 3)] == ["first", None, "third"]


def test_false_is_remembered() -> None:
    known: VersionCache[bool] = VersionCache()
    known.note((1,), False)  # noqa: FBT003 - the fact
    assert known.get((1,)) is False


def test_fact_about_a_newly_changed_file_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert key_of(path.stat(), "text/plain") is None
    known: VersionCache[str] = VersionCache()
    known.note(None, "fact")
    assert known.get(None) is None
    assert key_of("text/plain") == ("text/plain",)


def test_key_depends_on_all_files_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "SETTLED", -1)
    (tmp_path / "one").touch()
    (tmp_path / "other").touch()
    one, other = (tmp_path / "one").stat(), (tmp_path / "other").stat()
    keys = [key_of(one, other), key_of(other, one), key_of(one), key_of(other), key_of(one, "a")]
    assert len(set(keys)) == len(keys)


def test_key_contains_the_device_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "SETTLED", -1)
    (tmp_path / "file").touch()
    status = (tmp_path / "file").stat()
    assert key_of(status, "a") == (status.st_dev, *version_of(status), "a")
