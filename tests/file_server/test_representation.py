"""Tests of the response that sends a file: its fields, and when they vary."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import NO_BODY

from trio_http.file_server.media_types import FileType
from trio_http.file_server.open_file import FileMetadata, OpenFile
from trio_http.file_server.representation import Representations, with_digest
from trio_http.file_server.versions import tag_of, version_of
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.digests import Digest
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response

AS_IT_IS = Representations(Compress.WORTHWHILE, None)
PAGE, DRAWING = FileType("text/html; charset=utf-8"), FileType("image/svg+xml", "gzip")


def asking(target: str = "/file", accepted: str | None = None) -> Request:
    headers = Headers({} if accepted is None else {"Accept-Encoding": accepted})
    return Request("GET", target, "1.1", headers, NO_BODY)


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[FileType], OpenFile]:
    """Return a function that makes files which look open."""
    (tmp_path / "file").write_bytes(b"hello")
    os.utime(tmp_path / "file", ns=(0, 784111777_123456789))

    def made(file_type: FileType) -> OpenFile:
        status = (tmp_path / "file").stat()
        return OpenFile(FileMetadata((), "file", version_of(status), file_type, {}), 77, status)

    return made


FileOf = Callable[[FileType], OpenFile]


def told(response: Response) -> dict[str, str]:
    assert response.status == 200
    return {name.decode().lower(): value.decode() for name, value in response.headers.raw}


def test_response_has_the_metadata_of_the_file(file_of: FileOf) -> None:
    file = file_of(PAGE)
    response = AS_IT_IS.of(asking(), file)
    assert told(response) == {
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "etag": str(tag_of(file.status)),
        "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT",
    }
    assert response.body == FileSlice(77, 0, 5)
    assert response.compress is Compress.WORTHWHILE
    assert Representations(Compress.NEVER, None).of(asking(), file).compress is Compress.NEVER


def test_fields_of_a_version_are_the_same_object(file_of: FileOf) -> None:
    first, second = (AS_IT_IS.of(asking(), file_of(PAGE)) for _ in range(2))
    assert first.headers is second.headers


def test_cache_control_can_be_given(file_of: FileOf) -> None:
    response = Representations(Compress.NEVER, "max-age=60").of(asking(), file_of(PAGE))
    assert told(response)["cache-control"] == "max-age=60"
    with pytest.raises(ValueError, match="not a field value"):
        Representations(Compress.NEVER, "a\nb")


def test_download_query_adds_content_disposition(file_of: FileOf) -> None:
    for target, value in {
        "/file?download": 'attachment; filename="file"',
        "/file?a&download=1": 'attachment; filename="file"',
        "/file?downloads": None,
        "/file": None,
    }.items():
        response = AS_IT_IS.of(asking(target), file_of(PAGE))
        assert told(response).get("content-disposition") == value


def test_file_with_siblings_varies(file_of: FileOf) -> None:
    file = file_of(PAGE)
    file.metadata = replace(file.metadata, siblings={"gzip": file.metadata.version})
    response = AS_IT_IS.of(asking(), file)
    assert told(response)["vary"] == "Accept-Encoding"
    assert "content-encoding" not in told(response)
    file.coding = "gzip"
    response = AS_IT_IS.of(asking(), file)
    assert told(response)["vary"] == "Accept-Encoding"
    assert told(response)["content-encoding"] == "gzip"
    assert told(response)["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("accepted", "is_shown"),
    [
        (None, True),  # RFC 9110 12.5.3: any coding is acceptable
        ("gzip, deflate, br", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.1, identity", True),  # prefers no coding, which does not exist
        ("identity", False),
        ("br", False),
        ("", False),
        ("gzip;q=0, *", False),
    ],
)
def test_svgz_is_an_image_for_clients_that_accept_gzip(
    file_of: FileOf, accepted: str | None, is_shown: object
) -> None:
    file = file_of(DRAWING)
    fields = told(AS_IT_IS.of(asking(accepted=accepted), file))
    tag = tag_of(file.status)
    if is_shown:
        assert (fields["content-type"], fields["content-encoding"]) == ("image/svg+xml", "gzip")
        assert fields["etag"] == str(tag)
    else:
        assert fields["content-type"] == "application/gzip"
        assert "content-encoding" not in fields
        assert fields["etag"] == str(tag.coded("identity"))  # another representation
    assert fields["vary"] == "Accept-Encoding"


def test_downloaded_svgz_is_sent_as_it_is(file_of: FileOf) -> None:
    fields = told(AS_IT_IS.of(asking("/file?download", "gzip"), file_of(DRAWING)))
    assert fields["content-type"] == "application/gzip"
    assert "content-encoding" not in fields
    assert "vary" not in fields
    assert fields["content-disposition"] == 'attachment; filename="file"'


def test_virtual_file_has_no_validators(file_of: FileOf) -> None:
    file = file_of(FileType("application/octet-stream"))
    file.read = b"processor: 0"
    response = Representations(Compress.WORTHWHILE, "no-store").of(asking(), file)
    assert response.body == b"processor: 0"
    assert told(response) == {
        "content-type": "application/octet-stream",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }


# Digests

DIGEST = Digest("sha-256", b"digest")


def digested(response: Response, accepted: str | None = None) -> Response:
    return with_digest(asking(accepted=accepted), response, DIGEST)


def test_digest_requires_bytes_without_a_coding(file_of: FileOf) -> None:
    page = AS_IT_IS.of(asking(), file_of(PAGE))
    response = digested(page, "gzip")
    assert told(response)["repr-digest"] == str(DIGEST)
    assert told(response)["vary"] == "Accept-Encoding"
    assert (response.body, response.compress) == (page.body, Compress.NEVER)


def test_response_that_is_never_coded_gets_its_digest(file_of: FileOf) -> None:
    response = digested(Representations(Compress.NEVER, None).of(asking(), file_of(PAGE)))
    assert told(response)["repr-digest"] == str(DIGEST)
    assert "vary" not in told(response)


def test_client_that_refuses_identity_gets_no_digest(file_of: FileOf) -> None:
    page = AS_IT_IS.of(asking(), file_of(PAGE))
    assert digested(page, "gzip, identity;q=0") is page
