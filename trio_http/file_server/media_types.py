"""Media types by file names, and the names that clients save files under."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

# Python's own table without the machine's, so that a file has the same type everywhere.
_TYPES = MimeTypes()

# The media types of compressed files, by their content coding.
ARCHIVES = {
    "gzip": "application/gzip",
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "zstd": "application/zstd",
}

# Types that Python does not know, in some version, or calls by outdated names: files that
# browsers load and people exchange (IANA, "Media Types").
_BETTER = {
    "application/epub+zip": ["epub"],
    "application/gpx+xml": ["gpx"],
    "application/ld+json": ["jsonld"],
    "application/rtf": ["rtf"],
    "application/vnd.oasis.opendocument.presentation": ["odp"],
    "application/vnd.oasis.opendocument.spreadsheet": ["ods"],
    "application/vnd.oasis.opendocument.text": ["odt"],
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ["pptx"],
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ["xlsx"],
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ["docx"],
    "application/x-7z-compressed": ["7z"],
    "application/x-ndjson": ["ndjson"],
    "application/xhtml+xml": ["xhtml"],
    "application/xml": ["xml"],  # it declares its charset by itself
    "application/yaml": ["yaml", "yml"],
    "application/zstd": ["zst"],
    "audio/flac": ["flac"],
    "audio/mp4": ["m4a"],
    "audio/ogg": ["ogg", "oga"],
    "audio/wav": ["wav"],
    "font/otf": ["otf"],
    "font/ttf": ["ttf"],
    "font/woff": ["woff"],
    "font/woff2": ["woff2"],
    "image/avif": ["avif"],
    "image/jxl": ["jxl"],
    "image/webp": ["webp"],
    "model/vrml": ["wrl"],
    "model/x3d+fastinfoset": ["x3db"],
    "model/x3d+xml": ["x3d"],
    "model/x3d-vrml": ["x3dv"],
    "text/calendar": ["ics"],
    "text/javascript": ["js", "mjs"],
    "text/markdown": ["md"],
    "text/plain": ["log", "ini", "toml", "diff", "patch"],
    "video/matroska": ["mkv"],
    "video/mp4": ["m4v"],
}

for _media_type, _suffixes in _BETTER.items():
    for _suffix in _suffixes:
        _TYPES.add_type(_media_type, f".{_suffix}")

# Formats that are registered as another one in a content coding (IANA; SVG 1.1 1.2), and that
# programs expect with ``Content-Encoding``. Archives are not among them: a client that fetches
# an archive wants the archive.
_CODED = {
    ".svgz": "image/svg+xml",
    ".wrz": "model/vrml",
    ".x3dbz": "model/x3d+fastinfoset",
    ".x3dvz": "model/x3d-vrml",
    ".x3dz": "model/x3d+xml",
}

# RFC 8187 3.2.1: the characters of an extended value, besides letters and digits, that are not
# escaped.
_PLAIN = "!#$&+-.^_`|~"


UNKNOWN = "application/octet-stream"


class FileType(NamedTuple):
    """The type of a file: the value of ``Content-Type``, and the content coding that it is in."""

    content_type: str
    coding: str | None = None


def type_of_name(name: str) -> FileType:
    """Return the type that a file's name suggests."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _CODED:
        return FileType(_CODED[suffix], "gzip")
    # The function takes URLs, too: "data:" or "a:b" would be a scheme without the dot and slash.
    guessed, coding = _TYPES.guess_type(f"./{name}")
    if coding is not None:
        return FileType(ARCHIVES.get(coding, UNKNOWN))
    return FileType(guessed or UNKNOWN)


def attachment(name: str) -> str:
    """Return a ``Content-Disposition`` that makes clients save a file under its name (RFC 6266).

    Names beyond ASCII are in ``filename*``, which wins if the client understands it
    (RFC 6266 4.3); other clients get the ASCII characters of the name.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # Leave out the end of a string, and whatever some clients read as an escape.
    simple = "".join([char if " " <= char <= "~" and char not in '"\\%' else "_" for char in text])
    value = f'attachment; filename="{simple}"'
    if simple == text:
        return value
    return f"{value}; filename*=UTF-8''{quote(text, safe=_PLAIN)}"
