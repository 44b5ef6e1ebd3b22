"""What was read of short files a moment ago, and when it is not sent again."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from trio_http.apps import contents
from trio_http.apps.contents import BESIDE, LONGEST, Contents
from trio_http.apps.directory import Allow, Directory
from trio_http.apps.open_folders import MOST as MOST_FOLDERS
from trio_http.apps.open_folders import OpenFolders
from trio_http.apps.stored import Opened
from trio_http.http1 import pages
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.headers import Headers
from trio_http.semantics.incoming import IncomingBody
from trio_http.semantics.messages import Request, Response

needs_pages = pytest.mark.skipif(not pages.CAN_TELL_CACHED, reason="this system does not tell")

FIELDS = Headers({"ETag": '"x"'})
LONG_AGO = 10**9


class NoBody:
    trailers = Headers()

    def __aiter__(self) -> "NoBody":
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


NO_BODY: IncomingBody = NoBody()


def asking(target: str = "/file", **fields: str) -> Request:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return Request("GET", target, "1.1", headers, NO_BODY)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "file").write_bytes(b"hello")
    monkeypatch.setattr(contents, "SETTLED", -1)  # as if all that was long ago
    return tmp_path


def noted(
    root: Path, request: Request, allow: Allow = Allow.LISTING, siblings: tuple[str, ...] = ()
) -> Contents:
    """What is known after a file was opened for a request."""
    folders = OpenFolders(Directory(root, allow))
    known = Contents(folders, allow)
    with (root / "file").open("rb") as file:
        status = os.fstat(file.fileno())
        opened = Opened("file", file.fileno(), status, None, siblings)
        body = FileSlice(file.fileno(), 0, status.st_size)
        known.note(request, (), opened, Response(200, FIELDS, body))
    return known


@needs_pages
async def test_what_was_read_is_sent_again(root: Path) -> None:
    known = noted(root, asking())
    response = known.get(asking())
    assert response == Response(200, FIELDS, b"hello")
    assert response is not None
    assert response.headers is FIELDS
    assert known.get(asking()) is response
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


def _forbid(path: Path) -> None:
    path.chmod(0)


def _link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


@needs_pages
@pytest.mark.parametrize("change", [_write, _grow, _replace, _forbid, _link, Path.unlink])
async def test_a_file_that_is_not_as_it_was_is_for_others_to_send(
    root: Path, change: Callable[[Path], None]
) -> None:
    known = noted(root, asking())
    assert known.get(asking()) is not None
    change(root / "file")
    assert known.get(asking()) is None


@needs_pages
@pytest.mark.parametrize(
    "request_for_more",
    [asking("/file?download"), asking("/file/"), asking(Want_Repr_Digest="sha-256=1")],
    ids=["query", "slash", "digest"],
)
async def test_who_asks_for_more_than_a_file_is_for_others(
    root: Path, request_for_more: Request
) -> None:
    assert noted(root, asking()).get(request_for_more) is None
    assert noted(root, request_for_more).get(asking(request_for_more.target)) is None


@needs_pages
async def test_what_is_long_is_not_kept(root: Path) -> None:
    (root / "file").write_bytes(bytes(LONGEST))
    assert noted(root, asking()).get(asking()) is not None
    (root / "file").write_bytes(bytes(LONGEST + 1))
    assert noted(root, asking()).get(asking()) is None


async def test_what_others_may_get_in_another_coding_is_not_kept(root: Path) -> None:
    assert noted(root, asking(), siblings=("gzip",)).get(asking()) is None


async def test_what_was_changed_a_moment_ago_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It could be changed again without looking any newer.
    monkeypatch.setattr(contents, "SETTLED", 3600 * 10**9)
    assert noted(root, asking()).get(asking()) is None


async def test_what_the_disk_would_have_to_bring_is_not_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CAN_TELL_CACHED", False)
    assert noted(root, asking()).get(asking()) is None


@needs_pages
async def test_without_a_folder_that_is_open_nothing_is_looked_at(root: Path) -> None:
    folders = OpenFolders(Directory(root))
    known = Contents(folders, Allow.LISTING)
    (root / "file").rename(root / "0")
    for name in map(str, range(MOST_FOLDERS)):
        (root / f"folder{name}").mkdir()
    with (root / "0").open("rb") as file:
        opened = Opened("0", file.fileno(), os.fstat(file.fileno()))
        known.note(asking("/0"), (), opened, Response(200, FIELDS, b""))
    for name in map(str, range(MOST_FOLDERS)):
        assert folders.get((f"folder{name}",)) is not None
    assert known.get(asking("/0")) is None
    await trio.lowlevel.checkpoint()


@needs_pages
@pytest.mark.parametrize("allow", [Allow.LISTING, Allow.LISTING | Allow.LINKS])
async def test_a_link_is_followed_where_that_is_allowed(root: Path, allow: Allow) -> None:
    _link(root / "file")
    assert (noted(root, asking(), allow).get(asking()) is not None) == (Allow.LINKS in allow)


@needs_pages
async def test_there_is_room_for_so_many_bytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST", BESIDE + 5)
    assert noted(root, asking()).get(asking()) is not None
    (root / "file").write_bytes(b"longer")
    assert noted(root, asking()).get(asking()) is None
