"""Header fields as lines: parsing and writing."""

from __future__ import annotations

import re

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import RawFields
from trio_http.semantics.tokens import TOKEN

# White space is refused before the name and before the colon: recipients that skip it read
# another name than those that do not (RFC 9112 5.1, 5.2).
_FIELD = re.compile(rb"(%b):[ \t]*([\x21-\x7e\x80-\xff \t]*)" % TOKEN)


def parse_field(line: bytes) -> tuple[bytes, bytes]:
    """Return the lower-case name and the value of a field line (RFC 9112 5)."""
    match = _FIELD.fullmatch(line)
    if match is None:
        raise HTTPError(400, "malformed field line")
    return match[1].lower(), match[2].rstrip(b" \t")


def lines_of(fields: RawFields) -> bytes:
    """Return header fields or trailers as lines (RFC 9112 5)."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])
