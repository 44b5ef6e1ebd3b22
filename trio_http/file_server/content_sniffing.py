"""Finds the media type of a file: by its name and, if that is not enough, by its first bytes."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.media_types import FileType, type_of_name
from trio_http.file_server.precompressed_siblings import FileHandle
from trio_http.semantics.headers import Headers, bytes_of
from trio_http.semantics.tokens import is_token
from trio_http.transport.page_cache import read_slice

# Bytes of a text by which its charset is judged. That takes a tenth of a millisecond.
JUDGED = 256 * 1024

# The option's value for sending texts without a charset.
_NO_CHARSET = "none"

_GZIP = b"\x1f\x8b\x08"  # RFC 1952 2.3.1: there is no other compression method

# Bytes within which browsers look for a declaration (HTML, "prescan a byte stream"; CSS
# Syntax 3.2).
_DECLARED_WITHIN = 1024
_DECLARATIONS = {
    "text/html": re.compile(
        rb"""<meta\b[^>]*\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)|\A<\?xml\b[^>]*\bencoding\s*=\s*["']([^"']*)""",
        re.IGNORECASE,
    ),
    "text/css": re.compile(rb"""\A@charset "([^"]*)";"""),
}

# A page that is readable as ASCII but declares UTF-16 is read as UTF-8 (HTML).
_MEANS_UTF8 = {b"utf-8", b"utf8", b"unicode-1-1-utf-8", b"utf-16", b"utf-16le", b"utf-16be"}


class ContentSniffer:
    """Finds the types of files, and remembers what it had to read for that.

    A text is sent as UTF-8 if it is valid UTF-8 and declares no other charset: the parameter
    ``charset`` would override the declaration. Without the parameter, clients use the
    declaration, or guess.
    """

    def __init__(self, media_type: str | None = None, charset: str | None = None) -> None:
        if media_type is not None:
            Headers([("Content-Type", media_type)])  # raises ``ValueError``
        if charset is not None and not is_token(bytes_of(charset)):
            raise ValueError(f"not the name of a charset: {charset!r}")
        self._media_type = media_type
        self._charset = charset
        self._known: VersionCache[bool] = VersionCache()

    def of(self, name: str, file: FileHandle) -> FileType:
        """Return the type of an open file; this may wait for a disk."""
        if self._media_type is not None:
            return FileType(self._media_type)
        file_type = type_of_name(name)
        if file_type.coding is not None:
            return file_type if _starts_with_gzip(file) else FileType(file_type.content_type)
        if not file_type.content_type.startswith("text/"):
            return file_type
        charset = self._charset
        if charset is None:
            charset = "utf-8" if self._is_utf8(file_type.content_type, file) else _NO_CHARSET
        if charset.lower() == _NO_CHARSET:
            return file_type
        return FileType(f"{file_type.content_type}; charset={charset}")

    def _is_utf8(self, media_type: str, file: FileHandle) -> bool:
        descriptor, status = file
        key = key_of(status, media_type)
        known = self._known.get(key)
        if known is None:
            known = is_utf8(read_slice(descriptor, 0, JUDGED + 1), media_type)
            self._known.note(key, known)
        return known


def is_utf8(data: bytes, media_type: str) -> bool:
    """Return whether the first ``JUDGED`` bytes of a text are valid UTF-8 and declare nothing else.

    A text with a NUL in it is UTF-16, UTF-32 or no text.
    """
    if (declaration := _DECLARATIONS.get(media_type)) is not None:
        match = declaration.search(data[:_DECLARED_WITHIN])
        if match is not None:
            label = next(filter(None, match.groups()), b"")
            if label.strip().lower() not in _MEANS_UTF8:
                return False
    if b"\0" in data:
        return False
    with suppress(UnicodeDecodeError):
        # A character that the limit cuts off does not count.
        codecs.utf_8_decode(data[:JUDGED], "strict", len(data) <= JUDGED)
        return True
    return False


def _starts_with_gzip(file: FileHandle) -> bool:
    return read_slice(file[0], 0, len(_GZIP)) == _GZIP
