"""Tests of the response to a directory's URL: its content as a page or as JSON."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from support import NO_BODY

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.listing.directory_response import (
    entries_of,
    index_of,
    listing_of,
    listing_response,
    names_directory,
    path_with_slash,
    redirect_to,
)
from trio_http.file_server.listing.page import Entry, Uploads, as_json, page, policy
from trio_http.file_server.permissions import NOTHING_MORE, PART_PREFIX, PART_SUFFIX, Permissions
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import NO_FIELDS
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response


def request_for(target: str, mount: str = "") -> Request:
    return Request("GET", target, "1.1", NO_FIELDS, NO_BODY).below(mount)


# URLs


@pytest.mark.parametrize(
    ("target", "mount", "expected"),
    [
        ("/", "", True),
        ("/a/", "", True),
        ("/a", "", False),
        ("/a?b/", "", False),
        ("/a/?b", "", True),
        ("/%2F", "", False),
        # The normalized path counts.
        ("/a/.", "", True),
        ("/a/b/..", "", True),
        ("/a/b/%2e%2E", "", True),
        ("/a/./b", "", False),
        ("/a/b/../c?d/", "", False),
        # An empty path of a server is equivalent to the slash (RFC 9110 4.2.3).
        ("http://test", "", True),
        ("http://test?a", "", True),
        ("http://test/", "", True),
        ("http://test/a", "", False),
        # Below a mount, an empty path is a slash as well, but links are relative to the URL.
        ("/a", "/a", False),
        ("/a?b/", "/a", False),
        ("/a/", "/a", True),
        ("/a/b", "/a", False),
        ("/a/b/", "/a", True),
        ("http://test/a", "/a", False),
        ("http://test/a/", "/a", True),
        ("/a/b/..", "/a", True),
        ("/a/.", "/a", True),
        ("/./a", "/a", False),
    ],
)
def test_directory_is_recognized_by_its_slash(target: str, mount: str, expected: object) -> None:
    assert names_directory(request_for(target, mount)) is expected


@pytest.mark.parametrize(
    ("target", "mount", "expected"),
    [
        ("/a", "", "./a/"),
        ("/a/b", "", "./b/"),
        ("/a%20b?c=d&e=/f?g", "", "./a%20b/?c=d&e=/f?g"),
        ("/a?", "", "./a/"),
        ("/%2E%2e/%C3%A9", "", "./%C3%A9/"),
        ("/x/../a/./%62%c3%a9?%62", "", "./b%C3%A9/?%62"),
        ("/x/../a", "/a", "./a/"),
        ("/a", "/a", "./a/"),
        ("/a/b?c", "/a/b", "./b/?c"),
        ("http://test/a/b?c", "/a/b", "./b/?c"),
        # The location stays on this server: it begins with neither a scheme nor slashes, nor
        # with characters that browsers treat as slashes.
        ("//evil.test", "", "./evil.test/"),
        ("/x:y", "", "./x:y/"),
        ("/\\evil.test", "", "./%5Cevil.test/"),
    ],
)
def test_redirect_with_the_slash_is_relative(target: str, mount: str, expected: str) -> None:
    response = redirect_to(path_with_slash(request_for(target, mount)))
    assert response.status == 301
    assert response.headers["Location"] == expected
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.body == b""


# The index


@pytest.mark.parametrize("allow", [NOTHING_MORE, Permissions.LINKS])
def test_index_must_be_a_regular_file(tmp_path: Path, way: str, allow: Permissions) -> None:
    index = tmp_path / "index.html"

    def found() -> os.stat_result | None:
        with Root(tmp_path, allow).directory() as directory:
            return index_of(directory)

    assert found() is None
    index.write_bytes(b"<p>")
    assert found() == index.stat()
    index.rename(tmp_path / "other.html")
    index.symlink_to("other.html")
    assert found() == (index.stat() if allow else None)
    index.unlink()
    index.mkdir()
    assert found() is None


# Entries


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with every kind of entry, next to a file outside of it."""
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / ".folder").mkdir()
    (root / "file").write_bytes(b"four")
    (root / ".file").touch()
    (root / "link").symlink_to("file")
    (root / "link-to-folder").symlink_to("folder")
    (root / "link-out").symlink_to("../secret")
    (root / "link-nowhere").symlink_to("nowhere")
    (root / "link-to-itself").symlink_to("link-to-itself")
    (root / f"{PART_PREFIX}0{PART_SUFFIX}").touch()
    os.mkfifo(root / "fifo")
    for path in root.iterdir():
        os.utime(path, (1.5, 1.5), follow_symlinks=False)
    os.utime(tmp_path / "secret", (1.5, 1.5))
    return root


@pytest.mark.parametrize(
    ("allow", "expected"),
    [
        (NOTHING_MORE, {"file": 4, "folder": None}),
        (Permissions.HIDDEN, {"file": 4, "folder": None, ".file": 0, ".folder": None}),
        (
            Permissions.LINKS,
            {"file": 4, "folder": None, "link": 4, "link-to-folder": None, "link-out": 6},
        ),
    ],
)
def test_visible_entries_are_listed(
    root: Path, way: str, allow: Permissions, expected: dict[str, int | None]
) -> None:
    with Root(root, allow).directory() as directory:
        entries = entries_of(directory)
    assert set(entries) == {Entry(name, size, 1.5) for name, size in expected.items()}
    assert len(entries) == len(expected)


@pytest.mark.parametrize("name", [b"caf\xe9", "日本語".encode(), b"a\nb", b'"<&>', b"\x7f", b"%"])
def test_names_in_any_encoding_are_listed(tmp_path: Path, way: str, name: bytes) -> None:
    (tmp_path / os.fsdecode(name)).touch()
    with Root(tmp_path).directory() as directory:
        assert [os.fsencode(entry.name) for entry in entries_of(directory)] == [name]


def test_subdirectory_is_listed(root: Path, way: str) -> None:
    (root / "folder" / "deep").touch()
    with Root(root).directory(["folder"]) as directory:
        assert [entry.name for entry in entries_of(directory)] == ["deep"]


def test_removed_directory_gets_404(tmp_path: Path) -> None:
    with pytest.raises(HTTPError) as refusal:
        entries_of(OpenDirectory(tmp_path / "gone", NOTHING_MORE, None))
    assert refusal.value.status == 404


def test_no_descriptor_stays_open(root: Path, way: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Root(root).directory() as directory:
        entries_of(directory)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_thousands_of_entries_are_listed(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number}").touch()
    response = listed(tmp_path, accept="application/json")
    assert isinstance(response.body, bytes)
    assert [entry["name"] for entry in json.loads(response.body)["entries"]] == [
        str(number) for number in range(2000)
    ]


# Page and JSON


def listed(
    root: Path, allow: Permissions = NOTHING_MORE, *, accept: str | None = None, below: str = ""
) -> Response:
    names = tuple(below.split())
    with Root(root, allow).directory(names) as directory:
        listing = listing_of(directory, names)
    return listing_response(listing, accept)


def entries_in(root: Path) -> list[Entry]:
    with Root(root).directory() as directory:
        return entries_of(directory)


@pytest.mark.parametrize(
    "accept", [None, "", "*/*", "text/html", "text/html, application/json", "image/png"]
)
def test_browsers_get_a_page(root: Path, accept: str | None) -> None:
    response = listed(root, accept=accept)
    assert response.status == 200
    assert response.body == page([], entries_in(root)).html.encode()
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Security-Policy"] == policy(Uploads.OFF)


@pytest.mark.parametrize(
    "accept", ["application/json", "application/*", "text/html;q=0.9, application/json"]
)
def test_programs_get_json(root: Path, accept: str) -> None:
    response = listed(root, accept=accept)
    assert response.status == 200
    assert response.body == as_json([], entries_in(root)).encode()
    assert response.headers["Content-Type"] == "application/json"
    assert "Content-Security-Policy" not in response.headers


def test_listing_names_its_directory(root: Path) -> None:
    assert listed(root, below="folder").body == page(["folder"], []).html.encode()
    response = listed(root, below="folder", accept="application/json")
    assert response.body == as_json(["folder"], []).encode()


def test_page_of_a_writable_directory_has_a_form(root: Path) -> None:
    response = listed(root, Permissions.WRITING)
    assert response.body == page([], entries_in(root), Uploads.ON).html.encode()
    assert response.headers["Content-Security-Policy"] == policy(Uploads.ON)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_listing_is_revalidated_and_its_tag_changes_with_the_content(
    root: Path, accept: str
) -> None:
    response = listed(root, accept=accept)
    assert isinstance(response.body, bytes)
    assert response.headers["Vary"] == "Accept"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    tag = response.headers["ETag"]
    assert tag == f'"{sha256(response.body).hexdigest()[:32]}"'
    assert listed(root, accept=accept).headers["ETag"] == tag
    (root / "new").touch()
    assert listed(root, accept=accept).headers["ETag"] != tag
