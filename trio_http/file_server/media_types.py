"""What a file's name says about it: its media type, and what it is to be saved as."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

# Python's own table without the machine's, so that a file has the same type everywhere.
_TYPES = MimeTypes()

# What is in a coding, taken as a file of its own.
ARCHIVES = {
    "gzip": "application/gzip",
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "zstd": "application/zstd",
}

# What Python does not know, in some version, or calls by names that are out of
# use: what browsers load, and what people send to each other (IANA, "Media Types").
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
    "application/xml": ["xml"],  # says itself what charset it is in
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

# Formats that are another one in a coding, by their registrations (IANA; SVG 1.1 1.2), and
# that what loads them expects to be told so. Archives are none of these: whoever fetches
# one wants the archive.
_CODED = {
    ".svgz": "image/svg+xml",
    ".wrz": "model/vrml",
    ".x3dbz": "model/x3d+fastinfoset",
    ".x3dvz": "model/x3d-vrml",
    ".x3dz": "model/x3d+xml",
}

# RFC 8187 3.2.1: what an extended value has as it is; letters and digits are, anyway.
_PLAIN = "!#$&+-.^_`|~"


UNKNOWN = "application/octet-stream"


class FileType(NamedTuple):
    """What a file is sent as: the value of ``Content-Type``, and the coding that it is in."""

    content_type: str
    coding: str | None = None


def type_of_name(name: str) -> FileType:
    """Return the media type that a file's name suggests, and the coding that is part of it."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _CODED:
        return FileType(_CODED[suffix], "gzip")
    # It takes URLs, too: "data:" or "a:b" would be a scheme, but for the dot and slash.
    guessed, coding = _TYPES.guess_type(f"./{name}")
    if coding is not None:
        return FileType(ARCHIVES.get(coding, UNKNOWN))
    return FileType(guessed or UNKNOWN)


def attachment(name: str) -> str:
    """A ``Content-Disposition`` that has a file saved under its name (RFC 6266).

    Names beyond ASCII are in ``filename*``, which counts where it is understood
    (RFC 6266 4.3); what remains of them is for all others.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # Nothing that ends a string, begins an escape, or is read by some as one.
    simple = "".join([char if " " <= char <= "~" and char not in '"\\%' else "_" for char in text])
    value = f'attachment; filename="{simple}"'
    if simple == text:
        return value
    return f"{value}; filename*=UTF-8''{quote(text, safe=_PLAIN)}"
