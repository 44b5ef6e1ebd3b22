"""Trailer fields: which are accepted, which may be sent, and to which clients (RFC 9110 6.5)."""

from __future__ import annotations

from collections.abc import Iterable

from trio_http.semantics.field_values import is_overlong, list_of
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response

# Fields for framing, routing and authentication. In trailers they come too late and could only
# deceive (RFC 9110 6.5.1).
_TOO_LATE = {
    b"authorization",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}


def believed(received: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the trailers that a client has sent, without fields that come too late."""
    return Headers.received(pair for pair in received if pair[0].lower() not in _TOO_LATE)


def keeps_trailers(request: Request) -> bool:
    """Return whether the client keeps trailers, as stated by ``TE: trailers``.

    Recipients may drop the trailers of all other responses (RFC 9110 6.5.1 and 10.1.4).
    """
    accepted = request.headers.get("TE") or ""
    members = [] if is_overlong(accepted) else list_of(accepted)
    return "trailers" in [member.lower() for member in members]


def asked_for(response: Response) -> Headers:
    """Return the trailers of a response whose body has been sent.

    A field that belongs in the head raises ``ValueError``.
    """
    if response.trailers is None:
        return NO_FIELDS
    trailers = Headers(response.trailers())
    for name, _ in trailers.raw:
        if name.lower() in _TOO_LATE:
            raise ValueError(f"not a valid trailer field: {name.decode()}")
    return trailers
