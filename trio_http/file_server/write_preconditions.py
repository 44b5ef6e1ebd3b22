"""On what terms a client wants something to be changed, and whether they can be met."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trio_http.semantics.conditional import PRECONDITIONS, Outcome, State, evaluate
from trio_http.semantics.digests import Digest, parse_digests
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import is_overlong, list_of
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.messages import Request


@dataclass(frozen=True, slots=True)
class WritePreconditions:
    """Preconditions (RFC 9110 13) and promised digests (RFC 9530) of a change."""

    method: str
    headers: Headers = NO_FIELDS
    digests: tuple[Digest, ...] = ()

    @classmethod
    def of(cls, request: Request) -> WritePreconditions:
        """Return the terms of a request that stores its body.

        ``HTTPError`` where it asks for what is not done here; 411 where nothing says
        that there is a body (RFC 9110 15.5.12).
        """
        headers = request.headers
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            # RFC 9112 6.3 takes this for an empty body. But a client that wants to empty
            # a file says so, and one that forgot the length must not have it emptied.
            raise HTTPError(411, "send a Content-Length, or the content in chunks")
        if "Content-Range" in headers:
            # RFC 9110 14.5: to take a part for the whole would destroy the rest.
            raise HTTPError(400, "files are stored whole, not in parts")
        # Bytes are kept as they come, and sent as they are kept: what was stored
        # in a coding would be taken for the file itself, and decoding it would
        # keep other bytes than those that an ETag or a digest was given for.
        codings = (headers.get("Content-Encoding") or "").lower()
        if is_overlong(codings) or any(coding != "identity" for coding in list_of(codings)):
            raise HTTPError(
                415, "content codings are not decoded here", {"Accept-Encoding": "identity"}
            )
        return cls(request.method, headers, _digests_in(headers))

    @property
    def depends(self) -> bool:
        """Whether what is there has a say in it; mostly nobody asks."""
        return not self.headers.names.isdisjoint(PRECONDITIONS)

    def check(self, state: State) -> None:
        """Refuse, with 412, a change to something that is not as the client thinks."""
        if evaluate(self.method, self.headers, state, time.time()) is not Outcome.PROCEED:
            if not state.exists:
                raise HTTPError(412, "there is none to be changed")
            asks_for_none = "If-None-Match" in self.headers and "If-Match" not in self.headers
            raise HTTPError(412, "there is one already" if asks_for_none else "it has changed")


def _digests_in(headers: Headers) -> tuple[Digest, ...]:
    """What is promised of the content and of the file, which are the same where all is sent."""
    digests: list[Digest] = []
    for name in ("Content-Digest", "Repr-Digest"):
        try:
            digests += parse_digests(headers.get(name) or "")
        except ValueError:
            raise HTTPError(400, f"the field {name} is malformed") from None
    return tuple(digests)
