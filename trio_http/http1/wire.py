"""One connection's bytes as h11 events, and the other way round.

h11 decides how messages are framed. This module decides when bytes are read
and when they leave: heads are cut out of the input first, so that their size
and form are judged whole, bodies are read only when asked for, and what is
written is gathered until there is a reason to send it.
"""

from __future__ import annotations

from collections.abc import Iterable

import h11
import trio

from trio_http.http1.framing import Chunked, Counted, Framing
from trio_http.http1.input import Input
from trio_http.http1.interpreter import run
from trio_http.http1.output import Output
from trio_http.http1.plain import PlainRequest, head_of, is_last, recognise
from trio_http.http1.stream import PIECE, Transport
from trio_http.http1.strict import check_head
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError, reason_of
from trio_http.semantics.headers import NO_FIELDS
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Response
from trio_http.semantics.trailers import asked_for, believed


class Wire:
    """Reads requests from a transport and writes responses to it.

    ``status`` is that of the response at hand, once there is one, and ``sent``
    counts the bytes of its body: both for the record.
    """

    def __init__(self, transport: Transport, timeouts: Timeouts, limits: Limits) -> None:
        self.input = Input(transport, limits)
        self.status = 0
        self.sent = 0
        self.trailers = NO_FIELDS
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        # Heads come to h11 whole, and no larger than they may be. What it can be
        # waiting for is the end of the trailers.
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        # Whether the client wants to be told to go on before it sends a body. h11
        # takes any interim response for that, but only 100 is (RFC 9110 15.2.1).
        self._awaits_continue = False
        self._head = b""
        self._plain: PlainRequest | None = None
        self._begun = self._finished = False  # the response, by its head and by its end
        self._framing: Framing = Counted(0)
        self._reusable = True  # whether it is known where a next request begins
        self._declared = 0  # what Content-Length says of the request's body
        self._received = 0  # how much of the body has been read
        self._output = Output(transport, timeouts.send)

    # Reading

    async def next_request(self) -> h11.Request | PlainRequest:
        """The request that begins with the bytes at hand.

        A head that is malformed, incomplete, too large or too slow raises
        ``HTTPError``, and nothing after it is ever read as a request.
        """
        self._reusable = False
        self.status = self.sent = self._received = 0
        self.trailers = NO_FIELDS
        self._begun = self._finished = False
        self._plain = None
        self._head = self.input.head_at_hand() or await self._rest_of_head()
        self._plain = recognise(self._head, self._limits) if self._limits.plain else None
        request = self._plain or self._parsed(self._head)
        self._reusable = True
        return request

    async def _rest_of_head(self) -> bytes:
        with trio.move_on_after(self._timeouts.head):
            return await self.input.next_head()
        raise HTTPError(408, "the head of the request took too long")

    def _leave_plain(self) -> None:
        """Have h11 read what was plain so far, because it turns out to need more."""
        if self._plain is not None:
            self._plain = None
            self._parsed(self._head)

    def _parsed(self, head: bytes) -> h11.Request:
        check_head(head, self._limits)
        self._h11.receive_data(head)
        try:
            request = self._h11.next_event()
            # Of a request without a body this is the end, without which h11
            # would not go on to a next one; else it only asks for data.
            self._h11.next_event()
        except h11.RemoteProtocolError as error:  # pragma: no cover - strict refuses more
            raise HTTPError(error.error_status_hint, str(error)) from error
        assert isinstance(request, h11.Request)  # noqa: S101 - all that a complete head can be
        self._awaits_continue = self._h11.they_are_waiting_for_100_continue
        self._declared = next((int(v) for n, v in request.headers if n == b"content-length"), 0)
        is_chunked = any(n == b"transfer-encoding" for n, _ in request.headers)
        self._framing = Chunked(self._limits) if is_chunked else Counted(self._declared)
        return request

    async def receive_body(self) -> bytes:
        """The next bytes of the request's body, or none at its end.

        Asking for the first of them sends ``100 Continue`` to a client that
        waits for it. A body that is malformed, breaks off, is too large or
        stops coming raises ``HTTPError``.
        """
        if self._plain is not None:
            return b""
        # After an error h11 repeats it: a body that broke off has no end to report.
        if self._h11.their_state not in {h11.SEND_BODY, h11.ERROR}:
            return b""
        try:
            return await self._next_data()
        except HTTPError:
            self._reusable = False
            raise

    async def _next_data(self) -> bytes:
        if self._declared > self._limits.body:
            raise self._body_too_large()
        if self._awaits_continue and not self.head_has_left:
            await self.inform(100, ())
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise HTTPError(400, "the request body is malformed or breaks off") from error
            match event:
                case h11.Data():
                    self._received += len(event.data)
                    if self._received > self._limits.body:
                        raise self._body_too_large()
                    return bytes(event.data)
                case h11.EndOfMessage():
                    self.trailers = believed(event.headers.raw_items())
                    return b""
                case _:  # it needs more
                    await self._feed()

    def _body_too_large(self) -> HTTPError:
        return HTTPError(413, f"at most {self._limits.body:.0f} bytes are taken")

    async def _feed(self) -> None:
        """Pass on to h11 what belongs to the body, and nothing that comes behind it."""
        while not (size := self._framing.take(self.input.unread)):
            with trio.move_on_after(self._timeouts.receive) as waiting:
                await self.input.receive_more()
            if waiting.cancelled_caught:
                raise HTTPError(408, "the body of the request has stopped coming")
            if self.input.ended:
                break  # which h11 has to hear of, as no bytes
        self._h11.receive_data(self.input.cut(size))

    # Writing

    @property
    def head_has_left(self) -> bool:
        """Whether a final response has been begun: then there can be no other."""
        return self._begun

    @property
    def response_has_left(self) -> bool:
        """Whether all of the final response is on its way."""
        return self._finished

    @property
    def must_close(self) -> bool:
        """Whether this exchange is the last, as far as we can tell before its response.

        A client that was not told to continue may send its body or may not
        (RFC 9110 10.1.1); reading a large one only to drop it is a waste.
        """
        if self._plain is not None and self._reusable:
            return self._plain.closes
        return (
            not self._reusable
            or self._awaits_continue
            or self._declared > self._limits.body
            or self._declared - self._received > self._limits.skip
        )

    async def inform(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send an interim response (RFC 9110 15.2) at once."""
        self._leave_plain()
        if status == 100:
            self._awaits_continue = False
        self._write(
            h11.InformationalResponse(
                status_code=status, headers=list(headers), reason=reason_of(status).encode()
            )
        )
        await self._output.flush()

    async def respond(self, response: Response) -> None:
        """Send a response; its body is run as fast as the client takes it."""
        head, body = self._plain_head(response), response.body
        if head is not None and isinstance(body, bytes | FileSlice):
            self.status, self._begun = response.status, True
            self._reusable = self._reusable and not is_last(head)
            self._output.add((head, body))
            await self._output.flush()
            self.sent = len(body)
        else:
            self._leave_plain()
            await self._respond(response)
        self._finished = True

    def _plain_head(self, response: Response) -> bytes | None:
        if self._plain is None:
            return None
        head = head_of(response.status, response.headers.raw)
        if head is not None and self._plain.closes and not is_last(head):
            return None
        return head

    async def _respond(self, response: Response) -> None:
        self._write(
            h11.Response(
                status_code=response.status,
                headers=list(response.headers.raw),
                reason=reason_of(response.status).encode(),
            )
        )
        self.status, self._begun = response.status, True
        try:
            if not isinstance(response.body, bytes):
                # The client should not wait for a head until a body exists.
                await self._output.flush()
            await run(response.body, self._send_data)
            self._write(h11.EndOfMessage(headers=list(asked_for(response).raw)))
            await self._output.flush()
        except BaseException:
            self._h11.send_failed()
            raise

    async def _send_data(self, data: bytes | FileSlice) -> None:
        if len(data):
            # h11 passes on, untouched, whatever has a length: so a part of a
            # file can go from the disk to the socket without being read here.
            self._write(h11.Data(data=data))  # type: ignore[arg-type]
            await self._output.flush()
            self.sent += len(data)

    def _write(self, event: h11.Event) -> None:
        self._output.add(self._h11.send_with_data_passthrough(event) or ())

    # Between exchanges

    async def next_cycle(self) -> bool:
        """Make ready for a next request; false where there can be none on this connection."""
        if self._plain is not None:
            return self._finished and self._reusable
        if self._h11.our_state is not h11.DONE or not self._reusable:
            return False
        if not await self._skip_body():
            return False
        self._h11.start_next_cycle()
        return True

    async def _skip_body(self) -> bool:
        """Read a body that nobody wanted, up to the limit; whether its end was reached."""
        last = self._received + self._limits.skip
        try:
            while await self.receive_body():
                if self._received > last:
                    return False
        except HTTPError:
            return False
        return True

    async def hang_up(self) -> None:
        """Say we are done, then listen until the client is done too.

        Closing a socket that still has unread input makes the kernel send a
        reset, and a reset can erase our last response from the client's
        receive buffer before the client has read it (RFC 9112 9.6).
        """
        if self.input.ended:
            return
        body_left = self._h11.their_state is h11.SEND_BODY
        all_read = self._reusable and not body_left and not self.input.unread
        with trio.move_on_after(self._timeouts.linger):
            told = await self._transport.send_eof()
            if all_read and not told:
                return  # only closing tells this client, who may wait for it
            dropped = 0
            while dropped < self._limits.linger:
                data = await self._transport.receive(PIECE)
                if not data:
                    return
                dropped += len(data)
