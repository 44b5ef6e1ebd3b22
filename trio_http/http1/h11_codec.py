"""The codec for exchanges that are not plain: h11 parses requests and frames responses.

h11 is the authority on the states of a connection: it gets each event in order and refuses
those that the request or the state does not allow. Response heads are already written,
identical for both codecs.
"""

from __future__ import annotations

from functools import lru_cache

import h11

from trio_http.http1.codec import RequestHead
from trio_http.http1.head_validation import authority_of, effective_version
from trio_http.http1.request_body import GoOn, RequestBody
from trio_http.http1.response_framing import FramedResponse, Streamed
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers, RawFields
from trio_http.semantics.limits import Limits

_END = h11.EndOfMessage()


class H11Codec:
    """Parses and frames the messages of one connection with h11."""

    __slots__ = ("_request", "_state")

    def __init__(self, limits: Limits) -> None:
        # h11 gets only complete heads within the limit, so it waits for nothing but the end of
        # the trailers.
        self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        self._request: h11.Request | None = None

    def read(self, received: bytes | bytearray) -> RequestHead:
        """Parse ``received``, a complete head that ``head_validation`` has checked.

        If the target contains an authority, it replaces the value of ``Host``
        (RFC 9112 3.2.2).
        """
        request = self._request = self._parsed(bytes(received))
        headers = Headers.received(request.headers.raw_items())
        if authority := authority_of(request.target):
            headers = headers.replacing("Host", authority.decode("ascii"))
        options = [value.split(b",") for name, value in request.headers if name == b"connection"]
        return RequestHead(
            len(received),
            bytes(received[: received.index(b"\r\n")]),
            request.method,
            request.target,
            effective_version(request.http_version).decode("ascii"),
            headers,
            next((int(value) for name, value in request.headers if name == b"content-length"), 0),
            any(option.strip(b" \t").lower() == b"close" for line in options for option in line),
            self._state.they_are_waiting_for_100_continue,
        )

    def _parsed(self, received: bytes) -> h11.Request:
        if self._state.our_state is h11.DONE:
            self._state.start_next_cycle()
        self._state.receive_data(received)
        try:
            request = self._state.next_event()
            # For a request without a body, this is the EndOfMessage without which h11 would not
            # begin its next cycle; otherwise it is NEED_DATA.
            self._state.next_event()
        except h11.RemoteProtocolError as error:  # pragma: no cover - head_validation refuses more
            raise HTTPError(error.error_status_hint, str(error)) from error
        assert isinstance(request, h11.Request)  # noqa: S101 - a complete head is nothing else
        return request

    def begin_body(self, body: RequestBody, go_on: GoOn) -> None:
        """Prepare ``body`` for the request that was read last."""
        assert self._request is not None  # noqa: S101 - ``read`` comes first
        body.begin(self._state, self._request, go_on)

    def interim(self, status: int, head: bytes) -> None:
        """Check an interim response with h11."""
        fields, reason = _parts_of(head)
        self._state.send(
            h11.InformationalResponse(status_code=status, headers=fields, reason=reason)
        )

    def begin(self, message: FramedResponse, head: bytes) -> None:
        """Check the head of a final response, and a body that is not streamed, with h11."""
        self._state.send(_final(message.response.status, head))
        if not isinstance(message.body, Streamed):
            if len(message.body):
                self.data(message.body)
            self.end(())

    def data(self, piece: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
        """Return a piece of the body with its framing.

        h11 passes any object with a length through unchanged, so the kernel can send a part of
        a file without Python reading it.
        """
        event = h11.Data(data=piece)  # type: ignore[arg-type]
        return tuple(self._state.send_with_data_passthrough(event) or ())

    def end(self, trailers: RawFields) -> bytes:
        """Return the bytes that follow the body (RFC 9112 7.1.2)."""
        return (
            self._state.send(h11.EndOfMessage(headers=list(trailers)) if trailers else _END) or b""
        )


# Events are immutable, so they are cached: making one takes as long as sending it.
@lru_cache(maxsize=256)
def _final(status: int, head: bytes) -> h11.Response:
    fields, reason = _parts_of(head)
    return h11.Response(status_code=status, headers=fields, reason=reason)


def _parts_of(head: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the fields and the reason phrase of a head."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    pairs = [line.partition(b": ") for line in lines]
    return [(name, value) for name, _, value in pairs], line.split(b" ", 2)[2]
