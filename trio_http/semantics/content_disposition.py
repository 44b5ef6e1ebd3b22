"""The ``Content-Disposition`` of a part of a form (RFC 7578 4.2).

The parser returns header fields as latin-1, which loses no byte. Their text is UTF-8, in which
other bytes become surrogates.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from trio_http.semantics.charsets import decoded
from trio_http.semantics.field_values import parameter_of
from trio_http.semantics.headers import text_of


def unescaped(text: str) -> str:
    """Return the UTF-8 text of bytes that were read as latin-1."""
    return text_of(text.encode("latin-1"))


def filename_of(disposition: str, filename: str | None) -> str | None:
    """Return the name of a part's file, or None if the part is not a file.

    ``filename`` is the parser's result. RFC 7578 forbids ``filename*`` in forms, so it counts
    only if there is no other name: some clients send only this for a name that is not ASCII
    (Python's urllib3 before 1.25). If it counts and is malformed, it raises ``ValueError``.
    """
    extended = parameter_of(disposition, "filename*")
    if filename or extended is None:
        return None if filename is None else unescaped(filename)
    # RFC 8187 3.2.1: a charset, a language and escaped bytes.
    charset, _, rest = extended.partition("'")
    _, quote, escaped = rest.partition("'")
    if not quote:
        raise ValueError("not a valid extended value")
    raw = unquote_to_bytes(escaped.encode("latin-1"))
    if charset.lower() == "utf-8":
        return text_of(raw)
    try:
        return decoded(raw, charset)
    except LookupError:
        raise ValueError(f"not a charset: {charset}") from None
