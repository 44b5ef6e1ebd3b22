"""What files are sent as: by their names, and where that is not enough, by their first bytes."""

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

# By so much of a text its charset is judged. That takes a tenth of a millisecond.
JUDGED = 256 * 1024

# What says that a text is to be sent without a charset.
NO_CHARSET = "none"

_GZIP = b"\x1f\x8b\x08"  # RFC 1952 2.3.1; there is no other method

# Where browsers look for it (HTML, "prescan a byte stream"; CSS Syntax 3.2).
_DECLARED_WITHIN = 1024
_DECLARATIONS = {
    "text/html": re.compile(
        rb"""<meta\b[^>]*\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)|\A<\?xml\b[^>]*\bencoding\s*=\s*["']([^"']*)""",
        re.IGNORECASE,
    ),
    "text/css": re.compile(rb"""\A@charset "([^"]*)";"""),
}

# A page that can be read as ASCII and says that it is UTF-16 is taken for UTF-8 (HTML).
_MEANS_UTF8 = {b"utf-8", b"utf8", b"unicode-1-1-utf-8", b"utf-16", b"utf-16le", b"utf-16be"}


class ContentSniffer:
    """Tells what files are sent as, and remembers what it had to read.

    A text is said to be UTF-8 if it is, and if it does not say that it is
    something else: the parameter ``charset`` would override what a page says of
    itself. Without it, clients go by that, or guess.
    """

    def __init__(self, media_type: str | None = None, charset: str | None = None) -> None:
        if media_type is not None:
            Headers([("Content-Type", media_type)])  # or ``ValueError``
        if charset is not None and not is_token(bytes_of(charset)):
            raise ValueError(f"not the name of a charset: {charset!r}")
        self._media_type = media_type
        self._charset = charset
        self._known: VersionCache[bool] = VersionCache()

    def of(self, name: str, file: FileHandle) -> FileType:
        """Return what an open file is sent as; may have to wait for a disk."""
        if self._media_type is not None:
            return FileType(self._media_type)
        file_type = type_of_name(name)
        if file_type.coding is not None:
            return file_type if _starts_with_gzip(file) else FileType(file_type.content_type)
        if not file_type.content_type.startswith("text/"):
            return file_type
        charset = self._charset
        if charset is None:
            charset = "utf-8" if self._is_utf8(file_type.content_type, file) else NO_CHARSET
        if charset.lower() == NO_CHARSET:
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
    """Whether the bytes of a text, or its first ``JUDGED`` ones, are UTF-8, and nothing else.

    A text with NUL in it is UTF-16 or UTF-32, or none.
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
        # A character that is cut off at the end does not count.
        codecs.utf_8_decode(data[:JUDGED], "strict", len(data) <= JUDGED)
        return True
    return False


def _starts_with_gzip(file: FileHandle) -> bool:
    return read_slice(file[0], 0, len(_GZIP)) == _GZIP
