"""Fields behind a body: which are believed, which may be sent, and to whom (RFC 9110 6.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trio_http.semantics.fields import is_overlong, list_of
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.messages import Request, Response

# Fields that say how a message is framed, routed, or who sent it: behind the
# body they come too late, and could only deceive (RFC 9110 6.5.1).
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
    """The trailers that a client has sent, less those that come too late."""
    return Headers.received(pair for pair in received if pair[0].lower() not in _TOO_LATE)


def addressed(request: Request, response: Response) -> Response:
    """The response as it will be sent, with trailers only for a client that keeps them.

    It says so by ``TE: trailers`` (RFC 9110 10.1.4); whoever passes messages on
    may drop those of all others. And there have to be chunks, behind which they
    stand: in HTTP/1.1, with a body, of unknown length (RFC 9112 7.1.2).
    """
    if response.trailers is None:
        return response
    accepted = request.headers.get("TE") or ""
    if (
        not is_overlong(accepted)
        and "trailers" in [member.lower() for member in list_of(accepted)]
        and request.version != "1.0"
        and request.method != "HEAD"
        and response.status not in {204, 304}
        and "Content-Length" not in response.headers
    ):
        return response
    return replace(response, trailers=None)


def asked_for(response: Response) -> Headers:
    """The trailers of a response whose body has been sent.

    Fields that would come too late there raise ``ValueError``: they were meant
    for the head.
    """
    if response.trailers is None:
        return NO_FIELDS
    trailers = Headers(response.trailers())
    for name, _ in trailers.raw:
        if name.lower() in _TOO_LATE:
            raise ValueError(f"not a field for behind the body: {name.decode()}")
    return trailers
