"""What is said to a client, as events of h11's.

They never change, so equal ones are used again: to make one takes as long as to
send it. A server says few things, and says them often.
"""

from __future__ import annotations

from functools import lru_cache

import h11

from trio_http.semantics.errors import reason_of
from trio_http.semantics.headers import Headers, RawFields

_END = h11.EndOfMessage()


@lru_cache(maxsize=256)
def final_head(status: int, fields: RawFields) -> h11.Response:
    """The head of a final response (RFC 9110 15)."""
    reason = reason_of(status).encode()
    return h11.Response(status_code=status, headers=list(fields), reason=reason)


def interim_head(status: int, fields: RawFields) -> h11.InformationalResponse:
    """An interim response, which is a head and nothing else (RFC 9110 15.2)."""
    reason = reason_of(status).encode()
    return h11.InformationalResponse(status_code=status, headers=list(fields), reason=reason)


def end_of(trailers: Headers) -> h11.EndOfMessage:
    """The end of a response, with the fields that come behind its body (RFC 9112 7.1.2)."""
    return h11.EndOfMessage(headers=list(trailers.raw)) if trailers.raw else _END
