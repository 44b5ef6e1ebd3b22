"""Tests of directories that stay open for a second: for how long, how many, and which."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from support import open_descriptors
from trio.testing import MockClock

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.cache.expiring import SECONDS
from trio_http.file_server.cache.open_directories import MOST, OpenDirectories
from trio_http.semantics.errors import HTTPError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with two others, each with a file that contains its name."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


@pytest.fixture
def directories(root: Path, nursery: trio.Nursery) -> OpenDirectories:
    return OpenDirectories(Root(root), nursery)


def file_in(directory: OpenDirectory | None) -> str:
    assert directory is not None
    descriptor, _ = directory.open("file")
    with os.fdopen(descriptor) as file:
        return file.read()


async def test_directory_is_opened_once_a_second(
    directories: OpenDirectories, autojump_clock: MockClock
) -> None:
    directory = directories.get(("a",))
    assert file_in(directory) == "a"
    assert file_in(directories.get(("b",))) == "b"
    await trio.sleep(SECONDS * 0.99)
    assert directories.get(("a",)) is directory
    await trio.sleep(SECONDS * 0.02)
    assert directories.get(("a",)) is not directory
    assert file_in(directories.get(("a",))) == "a"


def _rename(root: Path) -> None:
    (root / "a").rename(root / "elsewhere")
    (root / "b").rename(root / "a")


def _make_a_link(root: Path) -> None:
    (root / "a").rename(root / "elsewhere")
    (root / "a").symlink_to("b")


def _remove(root: Path) -> None:
    (root / "a" / "file").unlink()
    (root / "a").rmdir()


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [(_rename, "a", "b"), (_make_a_link, "a", None), (_remove, None, None)],
)
async def test_changed_directory_is_noticed_after_a_second(
    root: Path,
    directories: OpenDirectories,
    autojump_clock: MockClock,
    *,
    change: Callable[[Path], None],
    before: str | None,
    after: str | None,
) -> None:
    def found() -> str | None:
        with suppress(HTTPError):
            return file_in(directories.get(("a",)))
        return None

    assert found() == "a"
    change(root)
    assert found() == before
    await trio.sleep(SECONDS * 1.01)
    assert found() == after


async def test_number_of_open_directories_is_limited(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    directories = OpenDirectories(Root(tmp_path), nursery)
    names = [(str(number),) for number in range(MOST + 1)]
    for (name,) in names:
        (tmp_path / name).mkdir()
    before = open_descriptors()
    assert None not in [directories.get(name) for name in names[:MOST]]
    assert directories.get(names[MOST]) is None
    assert directories.get(names[0]) is not None
    assert open_descriptors() == before + MOST
    await trio.sleep(SECONDS * 1.01)
    assert open_descriptors() == before
    assert directories.get(names[MOST]) is not None


async def test_missing_directory_leaves_nothing_open(directories: OpenDirectories) -> None:
    before = open_descriptors()
    for _ in range(2):
        with pytest.raises(HTTPError):
            directories.get(("nothing",))
        with pytest.raises(HTTPError):
            directories.get(("a", "nothing"))
    assert open_descriptors() == before


async def test_directories_are_closed_at_the_end_of_their_nursery(root: Path) -> None:
    before = open_descriptors()
    async with trio.open_nursery() as nursery:
        directories = OpenDirectories(Root(root), nursery)
        assert file_in(directories.get(("a",))) == "a"
        assert open_descriptors() == before + 1
        nursery.cancel_scope.cancel()
    assert open_descriptors() == before


async def test_directory_that_cannot_be_closed_raises_nothing(
    root: Path, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        directory = OpenDirectories(Root(root), nursery).get(("a",))
        assert directory is not None
        assert directory.descriptor is not None
        os.close(directory.descriptor)
    assert trio.current_time() == SECONDS


async def test_path_is_checked_each_time(
    directories: OpenDirectories, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_root, "RELATIVE", False)
    assert file_in(directories.get(("a",))) == "a"
    _make_a_link(root)
    with pytest.raises(HTTPError):
        directories.get(("a",))
