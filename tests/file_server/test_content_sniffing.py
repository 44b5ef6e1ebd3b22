"""Tests of media types: by name, by the first bytes, or as configured."""

import os
from pathlib import Path

import pytest

from trio_http.file_server import content_sniffing, versions
from trio_http.file_server.content_sniffing import JUDGED, ContentSniffer, is_utf8
from trio_http.file_server.media_types import FileType

HTML, CSS, TEXT = "text/html", "text/css", "text/plain"


def kind_of(path: Path, known: ContentSniffer | None = None) -> FileType:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return (known or ContentSniffer()).of(path.name, (descriptor, os.fstat(descriptor)))
    finally:
        os.close(descriptor)


def content_type_of(path: Path, data: bytes, known: ContentSniffer | None = None) -> str:
    path.write_bytes(data)
    return kind_of(path, known).content_type


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("page.html", b"<p>", "text/html; charset=utf-8"),
        ("page.html", "<p>é".encode(), "text/html; charset=utf-8"),
        ("page.html", "<p>é".encode("latin-1"), "text/html"),
        ("notes.txt", "é".encode(), "text/plain; charset=utf-8"),
        ("notes.txt", "é".encode("latin-1"), "text/plain"),
        ("script.js", "é".encode("latin-1"), "text/javascript"),  # the page's charset applies
        ("empty.txt", b"", "text/plain; charset=utf-8"),
        ("feed.xml", b"<x/>", "application/xml"),  # XML declares its charset itself
        ("drawing.svg", b"<svg/>", "image/svg+xml"),
        ("page.xhtml", b"<html/>", "application/xhtml+xml"),
        ("data.json", b"{}", "application/json"),
        ("unknown", b"text", "application/octet-stream"),
    ],
)
def test_valid_utf8_is_sent_as_utf8(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    path = tmp_path / name
    assert content_type_of(path, data) == expected
    assert kind_of(path).coding is None


@pytest.mark.parametrize(
    ("media_type", "data", "expected"),
    [
        (TEXT, b"", True),
        (TEXT, b"plain", True),
        (TEXT, "\ufeffplain".encode(), True),
        (TEXT, "caf\u00e9 \U0001f600".encode(), True),
        (TEXT, b"caf\xe9", False),
        (TEXT, b"caf\xc3", False),  # it ends within a character
        (TEXT, b"\xed\xa0\x80", False),  # a surrogate (RFC 3629 3)
        (TEXT, b"\xc0\x80", False),
        (TEXT, "plain".encode("utf-16"), False),
        (TEXT, "plain".encode("utf-16-le"), False),  # valid UTF-8, but unlikely to be meant as such
        (TEXT, "plain".encode("utf-32-be"), False),
        (TEXT, b'<meta charset="windows-1252">', True),  # plain text cannot declare a charset
        (HTML, b"<p>page", True),
        (HTML, b'<meta charset="utf-8">', True),
        (HTML, b"<META CharSet = UTF8 >", True),
        (HTML, b"<meta charset='utf-16le'>", True),  # browsers treat it as UTF-8
        (HTML, b'<meta charset="windows-1252">', False),
        (HTML, b"<meta charset=iso-8859-1>", False),
        (HTML, b"<meta charset=koi8-r/>", False),
        (HTML, b"<meta charset=' Shift_JIS '>", False),
        (HTML, b'<meta http-equiv="Content-Type" content="text/html; charset=gbk">', False),
        (HTML, b'<meta http-equiv=Content-Type content="text/html;charset=utf-8">', True),
        (HTML, b'<meta charset=""> ', True),  # declares no charset
        (HTML, b'<?xml version="1.0" encoding="iso-8859-2"?><html>', False),
        (HTML, b"<?xml version='1.0' encoding='UTF-8'?><html>", True),
        (HTML, b"<p>the charset=koi8-r is old", True),
        (HTML, b"<!-- " + b"x" * 1024 + b' --><meta charset="koi8-r">', True),  # too late
        (CSS, b'@charset "windows-1252"; p {}', False),
        (CSS, b'@charset "utf-8"; p {}', True),
        (CSS, b'p {} @charset "windows-1252";', True),  # not at the beginning
        (CSS, b'@CHARSET "windows-1252";', True),  # in the wrong case
        (TEXT, b"x" * JUDGED, True),
        (TEXT, b"x" * (JUDGED - 1) + "é".encode(), True),  # the sample cuts a character
        (TEXT, b"x" * (JUDGED - 1) + b"\xe9" + b"x", True),  # it could begin a valid one
        (TEXT, b"x" * (JUDGED - 1) + b"\xff", False),
        (TEXT, b"x" * JUDGED + b"\xff", True),  # beyond the sample
    ],
)
def test_utf8_is_recognized(media_type: str, data: bytes, expected: object) -> None:
    assert is_utf8(data[: JUDGED + 1], media_type) is expected


@pytest.mark.parametrize(
    ("charset", "expected"),
    [
        ("windows-1252", "text/html; charset=windows-1252"),
        ("UTF-8", "text/html; charset=UTF-8"),
        ("none", "text/html"),
        ("NONE", "text/html"),
    ],
)
def test_charset_can_be_given_for_all_texts(tmp_path: Path, charset: str, expected: str) -> None:
    known = ContentSniffer(charset=charset)
    for data in (b"<p>", b"\xff", b'<meta charset="koi8-r">'):
        assert content_type_of(tmp_path / "page.html", data, known) == expected
    for name in ("data.json", "drawing.svg", "feed.xml"):
        assert "charset" not in content_type_of(tmp_path / name, b"", known)


@pytest.mark.parametrize("charset", ["", " ", "a b", "utf-8;", '"utf-8"', "utf-8\n", "é", "a,b"])
def test_invalid_name_of_a_charset_raises(charset: str) -> None:
    with pytest.raises(ValueError, match="not the name of a charset"):
        ContentSniffer(charset=charset)


def test_media_type_can_be_given_for_all_files(tmp_path: Path) -> None:
    known = ContentSniffer("application/x-own", "utf-8")
    for name in ("page.html", "drawing.svgz", "x"):
        (tmp_path / name).write_bytes(b"\x1f\x8b\x08")
        assert kind_of(tmp_path / name, known) == FileType("application/x-own")
    with pytest.raises(ValueError, match="not a field value"):
        ContentSniffer("a\nb")


def test_format_in_a_coding_must_be_in_that_coding(tmp_path: Path) -> None:
    path = tmp_path / "drawing.svgz"
    path.write_bytes(b"\x1f\x8b\x08\0\0")
    assert kind_of(path) == FileType("image/svg+xml", "gzip")
    for data in (b"<svg/>", b"", b"\x1f\x8b"):
        path.write_bytes(data)
        assert kind_of(path) == FileType("image/svg+xml")


def test_charset_of_a_settled_file_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def watched(data: bytes, media_type: str) -> bool:
        looks.append(data)
        return is_utf8(data, media_type)

    monkeypatch.setattr(content_sniffing, "is_utf8", watched)
    (tmp_path / "a.txt").write_bytes(b"a")
    known = ContentSniffer()
    monkeypatch.setattr(versions, "SETTLED", 3600 * 10**9)
    for _ in range(2):
        assert kind_of(tmp_path / "a.txt", known).content_type == "text/plain; charset=utf-8"
    monkeypatch.setattr(versions, "SETTLED", -1)
    for _ in range(2):
        assert kind_of(tmp_path / "a.txt", known).content_type == "text/plain; charset=utf-8"
    (tmp_path / "a.txt").write_bytes(b"\xff!")
    for _ in range(2):
        assert kind_of(tmp_path / "a.txt", known).content_type == "text/plain"
    assert looks == [b"a", b"a", b"a", b"\xff!"]
