"""Tests of names: their media types, and names of saved files."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CHECKOUT

from trio_http.file_server.media_types import FileType, attachment, type_of_name
from trio_http.semantics.field_values import parameter_of
from trio_http.semantics.headers import Headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.txt", "text/plain"),
        ("page.html", "text/html"),
        ("PAGE.HTML", "text/html"),
        ("style.css", "text/css"),
        ("script.js", "text/javascript"),  # RFC 9239
        ("module.mjs", "text/javascript"),
        ("notes.md", "text/markdown"),  # RFC 7763
        ("data.json", "application/json"),
        ("feed.xml", "application/xml"),  # XML declares its charset itself (RFC 7303 3)
        ("picture.png", "image/png"),
        ("picture.webp", "image/webp"),
        ("picture.avif", "image/avif"),
        ("drawing.svg", "image/svg+xml"),
        ("font.woff2", "font/woff2"),
        ("film.mp4", "video/mp4"),
        ("module.wasm", "application/wasm"),
        (
            "letter.docx",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("unknown", "application/octet-stream"),
        ("unknown.zzz", "application/octet-stream"),
        ("", "application/octet-stream"),
        (".html", "application/octet-stream"),  # hidden, without a suffix
        # The coding of the file itself is not a Content-Encoding: a client that saves an
        # archive wants the archive.
        ("archive.tar.gz", "application/gzip"),
        ("archive.tgz", "application/gzip"),
        ("page.html.br", "application/x-brotli"),
        ("page.html.zst", "application/zstd"),
        ("archive.bz2", "application/x-bzip2"),
        ("archive.tar.xz", "application/octet-stream"),
        # Names that look like URLs are names.
        ("data:,x.png", "image/png"),
        ("a:b?c.html", "text/html"),
        ("a#b.html", "text/html"),
        ("caf\udce9.txt", "text/plain"),
    ],
)
def test_media_type_of_a_name(name: str, expected: str) -> None:
    assert type_of_name(name) == FileType(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("drawing.svgz", "image/svg+xml"),
        ("DRAWING.SVGZ", "image/svg+xml"),
        ("data:,x.svgz", "image/svg+xml"),
        ("scene.x3dz", "model/x3d+xml"),
        ("scene.x3dvz", "model/x3d-vrml"),
        ("scene.x3dbz", "model/x3d+fastinfoset"),
        ("scene.wrz", "model/vrml"),
    ],
)
def test_format_in_a_coding_of_a_name(name: str, expected: str) -> None:
    assert type_of_name(name) == FileType(expected, "gzip")


def test_compressed_file_is_an_archive() -> None:
    assert type_of_name("drawing.svg.gz") == FileType("application/gzip")
    assert type_of_name(".svgz") == FileType("application/octet-stream")  # hidden, without a suffix


def test_media_types_of_the_machine_are_ignored(tmp_path: Path) -> None:
    # For its functions, the module ``mimetypes`` reads such a file if it exists.
    (tmp_path / "types").write_text("image/odd png\n")
    code = (
        "import mimetypes, sys\n"
        "mimetypes.init([sys.argv[1]])\n"
        "from trio_http.file_server.media_types import type_of_name\n"
        "print(mimetypes.guess_type('x.png')[0], type_of_name('x.png').content_type)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "types")]
    ended = subprocess.run(command, check=True, cwd=CHECKOUT, capture_output=True, text=True)
    assert ended.stdout == "image/odd image/png\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.txt", 'attachment; filename="notes.txt"'),
        ("a b;c=d,e.txt", 'attachment; filename="a b;c=d,e.txt"'),
        ("", 'attachment; filename=""'),
        # Beyond ASCII, and characters that some clients take for escapes (RFC 6266 D).
        ("é.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        ("€ rates", "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates"),
        ('a"b', "attachment; filename=\"a_b\"; filename*=UTF-8''a%22b"),
        ("a\\b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%5Cb"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ("\x7f", "attachment; filename=\"_\"; filename*=UTF-8''%7F"),
        ("'(*)é", "attachment; filename=\"'(*)_\"; filename*=UTF-8''%27%28%2A%29%C3%A9"),
        # A name that is not valid text is saved under the readable part of it.
        ("caf\udce9", "attachment; filename=\"caf_\"; filename*=UTF-8''caf%EF%BF%BD"),
    ],
)
def test_attachment_has_the_name_of_the_file(name: str, expected: str) -> None:
    assert attachment(name) == expected


@given(st.text().map(lambda text: text.encode("utf-8", "replace").decode()))
def test_every_name_can_be_sent_and_parsed(name: str) -> None:
    field = attachment(name)
    Headers([("Content-Disposition", field)])
    assert field.isascii()
    # RFC 8187 3.2.1: an extended value contains nothing else.
    extended = re.search(r"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)\Z", field)
    assert (unquote(extended[1]) if extended else parameter_of(field, "filename")) == name
