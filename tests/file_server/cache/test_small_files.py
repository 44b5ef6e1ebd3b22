"""Tests of the cache of small files: hits, misses, and open files of medium size."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import trio
from support import NO_BODY, open_descriptors
from trio.testing import MockClock

from trio_http.file_server import versions
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache import small_files
from trio_http.file_server.cache.expiring import SECONDS
from trio_http.file_server.cache.open_directories import MOST as MOST_FOLDERS
from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.cache.small_files import BESIDE, COPIED, LONGEST, MOST_OPEN, SmallFiles
from trio_http.file_server.media_types import FileType
from trio_http.file_server.open_file import FileMetadata, OpenFile
from trio_http.file_server.permissions import Permissions
from trio_http.file_server.versions import version_of
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.transport import page_cache

needs_pages = pytest.mark.skipif(not page_cache.CAN_TELL_CACHED, reason="this system does not tell")

FIELDS = Headers({"ETag": '"x"'})
LONG_AGO = 10**9


def asking(target: str = "/file", **fields: str) -> Request:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return Request("GET", target, "1.1", headers, NO_BODY)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "file").write_bytes(b"hello")
    monkeypatch.setattr(versions, "SETTLED", -1)  # as if the last change was long ago
    return tmp_path


TEXT = FileType("text/plain")


def opened(
    file: BinaryIO, name: str = "file", file_type: FileType = TEXT, siblings: tuple[str, ...] = ()
) -> OpenFile:
    status = os.fstat(file.fileno())
    version = version_of(status)
    metadata = FileMetadata((), name, version, file_type, dict.fromkeys(siblings, version))
    return OpenFile(metadata, file.fileno(), status)


def contents_of(root: Path, nursery: trio.Nursery, allow: Permissions) -> SmallFiles:
    return SmallFiles(OpenDirectories(Root(root, allow), nursery), allow, nursery)


def noted(
    root: Path,
    nursery: trio.Nursery,
    request: Request,
    allow: Permissions = Permissions.LISTING,
    *,
    file_type: FileType = TEXT,
    siblings: tuple[str, ...] = (),
) -> SmallFiles:
    """Return the cache after a file was opened for a request."""
    known = contents_of(root, nursery, allow)
    with (root / "file").open("rb") as file:
        known.note(request, opened(file, "file", file_type, siblings), Response(200, FIELDS, b""))
    return known


@needs_pages
async def test_small_file_is_sent_again(root: Path, nursery: trio.Nursery) -> None:
    known = noted(root, nursery, asking())
    cached = known.get(asking())
    assert cached is not None
    with cached as response:
        assert response == Response(200, FIELDS, b"hello")
        assert response.headers is FIELDS
    assert known.get(asking()) is cached
    assert known.get(asking("/other")) is None


def _write(path: Path) -> None:
    path.write_bytes(b"world")


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"world")
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


def _write_and_set_the_time_back(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"world")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _forbid(path: Path) -> None:
    path.chmod(0)


def _link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


@needs_pages
@pytest.mark.parametrize(
    "change", [_write, _write_and_set_the_time_back, _grow, _replace, _forbid, _link, Path.unlink]
)
async def test_changed_file_is_not_in_the_cache(
    root: Path, nursery: trio.Nursery, change: Callable[[Path], None]
) -> None:
    known = noted(root, nursery, asking())
    assert known.get(asking()) is not None
    change(root / "file")
    assert known.get(asking()) is None


@needs_pages
@pytest.mark.parametrize(
    "request_for_more",
    [asking("/file?download"), asking("/file/"), asking(Want_Repr_Digest="sha-256=1")],
    ids=["query", "slash", "digest"],
)
async def test_request_for_more_than_a_file_is_not_cached(
    root: Path, nursery: trio.Nursery, request_for_more: Request
) -> None:
    assert noted(root, nursery, asking()).get(request_for_more) is None
    assert noted(root, nursery, request_for_more).get(asking(request_for_more.target)) is None


@needs_pages
async def test_long_file_is_not_cached(root: Path, nursery: trio.Nursery) -> None:
    (root / "file").write_bytes(bytes(LONGEST))
    assert noted(root, nursery, asking()).get(asking()) is not None
    (root / "file").write_bytes(bytes(LONGEST + 1))
    assert noted(root, nursery, asking()).get(asking()) is None


async def test_file_in_several_codings_is_not_cached(root: Path, nursery: trio.Nursery) -> None:
    assert noted(root, nursery, asking(), siblings=("gzip",)).get(asking()) is None
    assert (
        noted(root, nursery, asking(), file_type=FileType("image/svg+xml", "gzip")).get(asking())
        is None
    )


async def test_empty_file_is_not_cached(root: Path, nursery: trio.Nursery) -> None:
    # It may have content all the same, like files below /proc.
    (root / "file").write_bytes(b"")
    assert noted(root, nursery, asking()).get(asking()) is None


async def test_file_that_has_just_changed_is_not_cached(
    root: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It could change again without looking any newer.
    monkeypatch.setattr(versions, "SETTLED", 3600 * 10**9)
    assert noted(root, nursery, asking()).get(asking()) is None


async def test_file_that_is_not_in_memory_is_not_cached(
    root: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    assert noted(root, nursery, asking()).get(asking()) is None


@needs_pages
async def test_file_in_a_directory_that_is_not_open_is_not_found(
    root: Path, nursery: trio.Nursery
) -> None:
    directories = OpenDirectories(Root(root), nursery)
    known = SmallFiles(directories, Permissions.LISTING, nursery)
    (root / "file").rename(root / "0")
    for name in map(str, range(MOST_FOLDERS)):
        (root / f"folder{name}").mkdir()
    with (root / "0").open("rb") as file:
        known.note(asking("/0"), opened(file, "0"), Response(200, FIELDS, b""))
    for name in map(str, range(MOST_FOLDERS)):
        assert directories.get((f"folder{name}",)) is not None
    assert known.get(asking("/0")) is None
    await trio.lowlevel.checkpoint()


@needs_pages
@pytest.mark.parametrize("allow", [Permissions.LISTING, Permissions.LISTING | Permissions.LINKS])
async def test_link_is_cached_only_if_links_are_allowed(
    root: Path, nursery: trio.Nursery, allow: Permissions
) -> None:
    _link(root / "file")
    assert (noted(root, nursery, asking(), allow).get(asking()) is not None) == (
        Permissions.LINKS in allow
    )


@needs_pages
async def test_size_of_the_cache_is_limited(
    root: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "MOST", BESIDE + 5)
    assert noted(root, nursery, asking()).get(asking()) is not None
    (root / "file").write_bytes(b"longer")
    assert noted(root, nursery, asking()).get(asking()) is None


@needs_pages
@pytest.mark.parametrize(("length", "is_held"), [(COPIED, False), (COPIED + 1, True)])
async def test_medium_file_is_held_open_for_a_second(
    root: Path,
    nursery: trio.Nursery,
    length: int,
    is_held: bool,  # noqa: FBT001 - an expected value
    autojump_clock: MockClock,
) -> None:
    (root / "file").write_bytes(b"x" * length)
    before = open_descriptors()
    known = noted(root, nursery, asking())
    assert open_descriptors() == before + is_held
    cached = known.get(asking())
    assert cached is not None
    body = cached.response.body
    assert isinstance(body, FileSlice) == is_held
    if isinstance(body, FileSlice):
        assert body.at_hand
        assert os.pread(body.descriptor, length + 1, 0) == b"x" * length
    await trio.sleep(SECONDS * 0.99)
    assert open_descriptors() == before + 1 + is_held  # the directory is open as well
    await trio.sleep(SECONDS * 0.02)
    assert open_descriptors() == before
    assert (known.get(asking()) is None) == is_held


@needs_pages
async def test_file_stays_open_while_it_is_being_sent(
    root: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    (root / "file").write_bytes(b"x" * LONGEST)
    known = noted(root, nursery, asking())
    before = open_descriptors()
    cached = known.get(asking())
    assert cached is not None
    with cached as response, cached:
        await trio.sleep(SECONDS * 1.01)
        assert isinstance(response.body, FileSlice)
        assert os.pread(response.body.descriptor, 1, 0) == b"x"
    assert open_descriptors() == before - 1


@needs_pages
async def test_number_of_open_files_is_limited(
    root: Path, nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "file").write_bytes(b"x" * LONGEST)
    known = contents_of(root, nursery, Permissions.LISTING)
    before = open_descriptors()
    with (root / "file").open("rb") as file:
        here = opened(file)
        for number in range(MOST_OPEN + 1):
            known.note(asking(f"/{number}"), here, Response(200, FIELDS, b""))
        assert open_descriptors() == before + 1 + MOST_OPEN
        assert known.get(asking(f"/{MOST_OPEN - 1}")) is not None
        assert known.get(asking(f"/{MOST_OPEN}")) is None
        await trio.sleep(SECONDS * 1.01)
        assert open_descriptors() == before + 1
        known.note(asking("/file"), here, Response(200, FIELDS, b""))
        assert known.get(asking()) is not None
        await trio.sleep(SECONDS * 1.01)

        def refuse(_: int) -> int:
            raise OSError(errno.EMFILE, "too many open files")

        monkeypatch.setattr(os, "dup", refuse)
        known.note(asking("/file"), here, Response(200, FIELDS, b""))
        assert known.get(asking()) is None


@needs_pages
async def test_files_are_closed_at_the_end_of_their_nursery(root: Path) -> None:
    (root / "file").write_bytes(b"x" * LONGEST)
    before = open_descriptors()
    async with trio.open_nursery() as nursery:
        assert noted(root, nursery, asking()).get(asking()) is not None
        assert open_descriptors() == before + 2
        nursery.cancel_scope.cancel()
    assert open_descriptors() == before
