"""Preconditions of a change, and whether they hold."""

from __future__ import annotations

import time
from dataclasses import dataclass

from trio_http.semantics.conditional import PRECONDITIONS, Outcome, State, evaluate
from trio_http.semantics.digests import Digest, parse_digests
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import is_overlong, list_of
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.request import Request


@dataclass(frozen=True, slots=True)
class WritePreconditions:
    """The preconditions of a change (RFC 9110 13), and the digests of its content (RFC 9530)."""

    method: str
    headers: Headers = NO_FIELDS
    digests: tuple[Digest, ...] = ()

    @classmethod
    def of(cls, request: Request) -> WritePreconditions:
        """Return the preconditions of a request that stores its body.

        ``HTTPError``: 400 or 415 if it asks for something unsupported, 411 if nothing says that
        it has a body (RFC 9110 15.5.12).
        """
        headers = request.headers
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            # RFC 9112 6.3 takes this for an empty body. But a client that means to empty a file
            # says so, and a file must not be emptied for a client that forgot the length.
            raise HTTPError(411, "send a Content-Length, or the content in chunks")
        if "Content-Range" in headers:
            # RFC 9110 14.5: taking a part for the whole would destroy the rest.
            raise HTTPError(400, "files are stored whole, not in parts")
        # Bytes are stored as they come, and sent as they were stored. A file that was stored in a
        # content coding would be sent without one; decoding it would store other bytes than
        # those of its entity tag and digest.
        codings = (headers.get("Content-Encoding") or "").lower()
        if is_overlong(codings) or any(coding != "identity" for coding in list_of(codings)):
            raise HTTPError(
                415, "content codings are not decoded here", {"Accept-Encoding": "identity"}
            )
        return cls(request.method, headers, _digests_in(headers))

    @property
    def depends(self) -> bool:
        """Tell whether the change depends on the existing file; most do not."""
        return not self.headers.names.isdisjoint(PRECONDITIONS)

    def check(self, state: State) -> None:
        """Refuse a change, with 412, if the file is not in the state that the client expects."""
        if evaluate(self.method, self.headers, state, time.time()) is not Outcome.PROCEED:
            if not state.exists:
                raise HTTPError(412, "there is none to be changed")
            asks_for_none = "If-None-Match" in self.headers and "If-Match" not in self.headers
            raise HTTPError(412, "there is one already" if asks_for_none else "it has changed")


def _digests_in(headers: Headers) -> tuple[Digest, ...]:
    """Return the digests of the content and of the file, which are the same for a whole file."""
    digests: list[Digest] = []
    for name in ("Content-Digest", "Repr-Digest"):
        try:
            digests += parse_digests(headers.get(name) or "")
        except ValueError:
            raise HTTPError(400, f"the field {name} is malformed") from None
    return tuple(digests)
