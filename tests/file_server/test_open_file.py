"""Tests of found files: opened again until they change, in the best coding."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import NO_BODY, open_descriptors

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.media_types import FileType
from trio_http.file_server.open_file import FileMetadata, OpenFile
from trio_http.file_server.precompressed_siblings import SUFFIXES
from trio_http.file_server.versions import modified_of, tag_of, version_of
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import http_date
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request


def asking(method: str = "GET", **fields: str) -> Request:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    return Request(method, "/file", "1.1", headers, NO_BODY)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a file, called ``file``, and its siblings, with times of whole seconds."""
    (tmp_path / "file").write_bytes(b"plain")
    for coding, suffix in SUFFIXES.items():
        (tmp_path / f"file{suffix}").write_bytes(f"it is {coding}".encode())
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    return tmp_path


@pytest.fixture
def directory(root: Path, way: str) -> Iterator[OpenDirectory]:
    with Root(root).directory() as directory:
        yield directory


def place_of(root: Path, *codings: str) -> FileMetadata:
    siblings = {coding: version_of((root / f"file{SUFFIXES[coding]}").stat()) for coding in codings}
    return FileMetadata(
        (), "file", version_of((root / "file").stat()), FileType("text/plain"), siblings
    )


def read(file: OpenFile | None) -> tuple[bytes, str | None]:
    """Return the content of an open file, and its coding."""
    assert file is not None
    with os.fdopen(file.descriptor, "rb") as opened:
        content = opened.read()
    assert file.status.st_size == len(content)
    return content, file.coding


def sent(
    directory: OpenDirectory, metadata: FileMetadata, request: Request
) -> tuple[bytes, str | None]:
    return read(metadata.open_best(directory, request))


def test_file_is_opened_again_until_it_changes(root: Path, directory: OpenDirectory) -> None:
    metadata = place_of(root)
    file = metadata.open_best(directory, asking())
    assert file is not None
    assert file.metadata is metadata
    assert read(file) == (b"plain", None)
    before = open_descriptors()
    (root / "file").chmod(0o600)
    assert metadata.open_best(directory, asking()) is None
    assert open_descriptors() == before


@pytest.mark.parametrize("becomes", ["nothing", "link", "folder", "fifo"])
def test_name_of_another_thing_is_not_opened_again(
    root: Path, directory: OpenDirectory, becomes: str
) -> None:
    metadata = place_of(root)
    path = root / "file"
    path.unlink()
    match becomes:
        case "link":
            path.symlink_to("file.gz")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    with pytest.raises((HTTPError, OSError)):
        metadata.open_best(directory, asking())


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("deflate", None),  # such files do not exist
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
        # No representation is acceptable, which a later step decides.
        ("identity;q=0, deflate", None),
        ("*;q=0", None),
    ],
)
def test_best_representation_for_the_client_is_opened(
    root: Path, directory: OpenDirectory, accepted: str, coding: str | None
) -> None:
    metadata = place_of(root, *SUFFIXES)
    expected = b"plain" if coding is None else f"it is {coding}".encode()
    assert sent(directory, metadata, asking(Accept_Encoding=accepted)) == (expected, coding)
    assert sent(directory, metadata, asking()) == (b"plain", None)


def test_only_verified_siblings_are_opened(root: Path, directory: OpenDirectory) -> None:
    request = asking(Accept_Encoding="zstd, br, gzip;q=0.1")
    assert sent(directory, place_of(root), request) == (b"plain", None)
    assert sent(directory, place_of(root, "gzip"), request) == (b"it is gzip", "gzip")


def test_changed_or_removed_sibling_is_ignored(root: Path, directory: OpenDirectory) -> None:
    metadata, request = place_of(root, "gzip"), asking(Accept_Encoding="gzip")
    assert sent(directory, metadata, request) == (b"it is gzip", "gzip")
    before = open_descriptors()
    (root / "file.gz").write_bytes(b"something else")
    assert sent(directory, metadata, request) == (b"plain", None)
    (root / "file.gz").unlink()
    assert sent(directory, metadata, request) == (b"plain", None)
    assert open_descriptors() == before


# Ranges


def tag(path: Path) -> str:
    return str(tag_of(path.stat()))


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("bytes=3-", None),
        ("bytes=0-0, 2-3", None),
        ("bytes=5-", None),  # the download is complete: the plain file gets a 416
        ("bytes=9-8", "gzip"),  # malformed, and so ignored
        ("lines=3-", "gzip"),
    ],
)
def test_range_is_taken_from_the_plain_file(
    root: Path, directory: OpenDirectory, field: str, coding: str | None
) -> None:
    metadata = place_of(root, "gzip")
    request = asking(Accept_Encoding="gzip", Range=field)
    assert sent(directory, metadata, request)[1] == coding
    assert (
        sent(directory, metadata, asking("HEAD", Accept_Encoding="gzip", Range=field))[1] == "gzip"
    )


def test_range_is_taken_from_the_sibling_that_if_range_names(
    root: Path, directory: OpenDirectory
) -> None:
    metadata = place_of(root, "gzip")
    date = http_date(modified_of((root / "file").stat(), 10**9))
    for value, coding in {
        tag(root / "file"): None,
        tag(root / "file.gz"): "gzip",
        '"another"': "gzip",  # the whole representation is sent
        f"W/{tag(root / 'file')}": "gzip",  # weak, so it does not match (RFC 9110 13.1.5)
        date: None,
        http_date(0): "gzip",
    }.items():
        request = asking(Accept_Encoding="gzip", Range="bytes=3-", If_Range=value)
        assert sent(directory, metadata, request)[1] == coding, value


def test_range_is_taken_from_the_sibling_if_the_plain_file_is_refused(
    root: Path, directory: OpenDirectory
) -> None:
    request = asking(Accept_Encoding="gzip, identity;q=0", Range="bytes=3-")
    assert sent(directory, place_of(root, "gzip"), request)[1] == "gzip"


def test_file_without_siblings_is_opened_only_once(root: Path, directory: OpenDirectory) -> None:
    file = place_of(root).open_best(directory, asking())
    assert file is not None
    assert file.or_sibling(directory, asking(Accept_Encoding="gzip")) is file
    assert read(file) == (b"plain", None)
