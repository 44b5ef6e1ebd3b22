"""Tokens: the grammar of methods, field names and parts of field values (RFC 9110 5.6.2)."""

from __future__ import annotations

import re

# The characters of a token, for use inside a character class of a regular expression.
TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"

# A token, as part of a regular expression for bytes.
TOKEN = f"[{TCHAR}]+".encode()

_TOKEN = re.compile(TOKEN)


def is_token(raw: bytes) -> bool:
    """Return whether these bytes are a token."""
    return _TOKEN.fullmatch(raw) is not None
