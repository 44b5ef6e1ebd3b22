"""Tests of lookups: a target leads to a file, a listing, a redirect or a refusal."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from support import NO_BODY, open_descriptors

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server import precompressed_siblings, retries, virtual_files
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache import expiring
from trio_http.file_server.cache.open_directories import MOST, OpenDirectories
from trio_http.file_server.content_sniffing import ContentSniffer
from trio_http.file_server.listing.directory_response import Listing
from trio_http.file_server.listing.page import Uploads
from trio_http.file_server.lookup import Found, Lookup, Redirect, Refusal
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.semantics.content_coding import encoded
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.transport.threads import Custody

# Worker threads do the lookups, so these tests do not use an autojump clock.


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"plain")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"deep")
    (tmp_path / "indexed").mkdir()
    (tmp_path / "indexed" / "index.html").write_bytes(b"<p>")
    (tmp_path / ".hidden").write_bytes(b"hidden")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()


def lookup_in(root: Path, allow: Permissions = NOTHING_MORE) -> Lookup:
    return Lookup(Root(root, allow), ContentSniffer())


def asking(target: str, accepted: str | None = None, mount: str = "") -> Request:
    fields = Headers({} if accepted is None else {"Accept-Encoding": accepted})
    return Request("GET", target, "1.1", fields, NO_BODY).below(mount)


async def found_in(root: Path, target: str, allow: Permissions = NOTHING_MORE) -> Found:
    with Custody() as custody:
        return await lookup_in(root, allow).find(asking(target), custody)


async def remembering(root: Path, target: str = "/file") -> Lookup:
    """Return a lookup that has just found a file."""
    lookup = lookup_in(root)
    with Custody() as custody:
        assert isinstance(await lookup.find(asking(target), custody), OpenFile)
    return lookup


def content_of(file: OpenFile | None) -> bytes | None:
    """Return the content of a file, and close it."""
    if file is None:
        return None
    with os.fdopen(file.descriptor, "rb") as opened:
        return opened.read()


@pytest.mark.parametrize(
    ("target", "content", "name"),
    [
        ("/file", b"plain", "file"),
        ("/below/file", b"deep", "file"),
        ("/indexed/", b"<p>", "index.html"),
    ],
)
async def test_file_is_found_and_opened(
    root: Path, way: str, target: str, content: bytes, name: str
) -> None:
    before = open_descriptors()
    with Custody() as custody:
        found = await lookup_in(root).find(asking(target), custody)
        assert isinstance(found, OpenFile)
        assert os.pread(found.descriptor, 99, 0) == content
        assert found.metadata.name == name
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("allow", "uploads"), [(0, Uploads.OFF), (Permissions.WRITING, Uploads.ON)]
)
async def test_directory_is_listed_if_allowed(
    root: Path, way: str, allow: Permissions | int, uploads: Uploads
) -> None:
    found = await found_in(root, "/below/", Permissions.LISTING | Permissions(allow))
    assert isinstance(found, Listing)
    assert found.segments == ("below",)
    assert [entry.name for entry in found.entries] == ["file"]
    assert found.uploads is uploads


@pytest.mark.parametrize(
    ("target", "allow", "location"),
    [
        ("/indexed?a", NOTHING_MORE, "./indexed/?a"),
        ("/indexed", Permissions.LISTING, "./indexed/"),
        ("/below", Permissions.LISTING, "./below/"),
    ],
)
async def test_directory_without_its_slash_is_redirected(
    root: Path, way: str, target: str, allow: Permissions, location: str
) -> None:
    assert await found_in(root, target, allow) == Redirect(location)


async def test_mount_without_its_slash_is_redirected(root: Path) -> None:
    lookup = lookup_in(root, Permissions.LISTING)
    with Custody() as custody:
        found = await lookup.find(asking("/mount", mount="/mount"), custody)
    assert found == Redirect("./mount/")


@pytest.mark.parametrize(
    "target", ["/nothing", "/nothing/file", "/file/", "/fifo", "/.hidden", "/below/", "/below", "/"]
)
async def test_other_targets_get_404(root: Path, way: str, target: str) -> None:
    before = open_descriptors()
    found = await found_in(root, target)
    assert isinstance(found, Refusal)
    assert found.error.status == 404
    assert open_descriptors() == before


async def test_unreadable_file_is_refused_and_closed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, size: int) -> bytes:
        raise OSError("no")

    monkeypatch.setattr(virtual_files, "_read_up_to", fail)
    (root / "file").write_bytes(b"")
    before = open_descriptors()
    found = await found_in(root, "/file")
    assert isinstance(found, Refusal)
    assert found.error.status == 503
    assert open_descriptors() == before


async def test_file_that_another_program_keeps_gets_503_in_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(retries, "PATIENCE", 0.01)
    monkeypatch.setattr(served_root.OpenDirectory, "open", busy)
    found = await found_in(root, "/file")
    assert isinstance(found, Refusal)
    assert found.error.status == 503


async def test_sibling_is_found_if_accepted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompressed_siblings, "SETTLED", -1)
    (root / "file.gz").write_bytes(encoded(b"plain", "gzip"))
    with Custody() as custody:
        lookup = lookup_in(root, Permissions.PRECOMPRESSED)
        found = await lookup.find(asking("/file", "gzip"), custody)
        assert isinstance(found, OpenFile)
        assert found.coding == "gzip"


# Repeated lookups, without waiting


async def test_file_is_found_again(root: Path, way: str, nursery: trio.Nursery) -> None:
    lookup = await remembering(root)
    assert content_of(lookup.find_again(asking("/file"))) == b"plain"
    directories = OpenDirectories(Root(root), nursery)
    assert content_of(lookup.find_again(asking("/file"), directories)) == b"plain"


async def test_file_is_found_again_if_too_many_directories_are_held_open(
    root: Path, nursery: trio.Nursery
) -> None:
    lookup = await remembering(root, "/below/file")
    directories = OpenDirectories(Root(root), nursery)
    for number in range(MOST):
        (root / f"{number}").mkdir()
        assert directories.get((f"{number}",)) is not None
    assert content_of(lookup.find_again(asking("/below/file"), directories)) == b"deep"


async def test_other_or_expired_target_is_not_found_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = await remembering(root)
    assert lookup.find_again(asking("/below/file")) is None
    monkeypatch.setattr(expiring, "SECONDS", 0)
    assert lookup.find_again(asking("/file")) is None


@pytest.mark.parametrize("becomes", ["other content", "a link", "nothing"])
async def test_changed_file_is_not_found_again(root: Path, way: str, becomes: str) -> None:
    lookup = await remembering(root)
    before = open_descriptors()
    (root / "file").unlink()
    match becomes:
        case "other content":
            (root / "file").write_bytes(b"other")
        case "a link":
            (root / "file").symlink_to("below/file")
    assert lookup.find_again(asking("/file")) is None
    assert open_descriptors() == before


async def test_index_of_a_mount_is_not_found_again_without_the_slash(root: Path) -> None:
    lookup = lookup_in(root / "indexed")
    with_slash, without = asking("/mount/", mount="/mount"), asking("/mount", mount="/mount")
    assert with_slash.path == without.path
    with Custody() as custody:
        await lookup.find(with_slash, custody)
    assert content_of(lookup.find_again(with_slash)) == b"<p>"
    assert lookup.find_again(without) is None


async def test_virtual_file_is_not_found_again() -> None:
    lookup = lookup_in(Path("/proc"))
    with Custody() as custody:
        found = await lookup.find(asking("/version"), custody)
        assert isinstance(found, OpenFile)
        assert found.read
    assert lookup.find_again(asking("/version")) is None
