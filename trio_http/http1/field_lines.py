"""Header fields as lines, parsed and written."""

from __future__ import annotations

import re

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import RawFields
from trio_http.semantics.tokens import TOKEN

# No blank before the colon, none before the name: those who skip it there read
# another name than those who do not (RFC 9112 5.1, 5.2).
_FIELD = re.compile(rb"(%b):[ \t]*([\x21-\x7e\x80-\xff \t]*)" % TOKEN)


def parse_field(line: bytes) -> tuple[bytes, bytes]:
    """A field line's name, in lower case, and its value (RFC 9112 5)."""
    match = _FIELD.fullmatch(line)
    if match is None:
        raise HTTPError(400, "malformed field line")
    return match[1].lower(), match[2].rstrip(b" \t")


def lines_of(fields: RawFields) -> bytes:
    """Return header fields or trailers as lines (RFC 9112 5)."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])
