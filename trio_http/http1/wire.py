"""One connection's bytes as h11 events, and the other way round.

h11 decides how messages are framed. This module decides when bytes are read and when they
leave: heads are cut out of the input first, so that their size and form are judged whole,
bodies are read only when asked for, and output is gathered until there is a reason to send it.
"""

from __future__ import annotations

import h11
import trio

from trio_http.http1 import fast_path
from trio_http.http1.h11_events import end_of, final_head, interim_head
from trio_http.http1.receive_buffer import Input
from trio_http.http1.request_body import RequestBody
from trio_http.http1.response_body import run
from trio_http.http1.send_buffer import Output, rest_of
from trio_http.http1.strict import check_head
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import RawFields
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.semantics.trailers import asked_for
from trio_http.transport.page_cache import read_cached
from trio_http.transport.stream import Transport


class Wire:
    """Reads requests from a transport and writes responses to it.

    ``status`` is that of the response at hand, once its head has left, and 0
    before; ``sent`` counts the bytes of its body that were given to be sent, and
    after ``settle`` those that have left: both for the record.
    """

    __slots__ = (
        "_finished",
        "_has_said_close",
        "_is_last",
        "_limits",
        "_output",
        "_plain",
        "_reusable",
        "_state",
        "_timeouts",
        "_transport",
        "body",
        "input",
        "sent",
        "status",
    )

    def __init__(self, transport: Transport, timeouts: Timeouts, limits: Limits) -> None:
        self.input = Input(transport, limits)
        self.body = RequestBody(self.input, timeouts, limits)
        self.status = 0
        self.sent = 0
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        self._output = Output(transport, timeouts.send)
        self._state: h11.Connection | None = None
        self._plain: fast_path.PlainRequest | None = None  # at hand, while h11 has not seen it
        self._finished = False  # whether all of the response is on its way
        self._is_last = False  # whether there shall be no request after the one at hand
        self._has_said_close = False  # whether the client has called its request the last
        self._reusable = True  # whether it is known where a next request begins

    @property
    def _h11(self) -> h11.Connection:
        """The state of the connection, made when it is first needed: most are plain."""
        if self._state is None:
            # Heads come to h11 whole, and no larger than they may be. What it can be
            # waiting for is the end of the trailers.
            self._state = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head)
        return self._state

    # Reading

    def plain_request(self) -> fast_path.PlainRequest | None:
        """The request that begins with the bytes at hand, if it is there and a plain one."""
        self.status = self.sent = 0
        self._finished = False
        limits = self._limits
        self._plain = fast_path.recognise(self.input.unread, limits) if limits.plain else None
        if (request := self._plain) is not None:
            self.input.pass_over(len(request.head), request.line)
            if request.length or not self.body.is_none:
                self.body.begin_counted(request.length, self._go_on if request.expects else None)
            self._is_last = self._has_said_close = request.closes
        return request

    async def next_request(self) -> h11.Request:
        """The request that begins with the bytes at hand, whatever it is.

        A head that is malformed, incomplete, too large or too slow raises
        ``HTTPError``, and nothing after it is ever read as a request.
        """
        self.status = self.sent = 0
        self._plain = None
        self._finished = self._is_last = self._reusable = False
        self.body.begin_counted(0)
        head = self.input.head_at_hand() or await self._rest_of_head()
        check_head(head, self._limits)
        request = self._parsed(head)
        self.body.begin(self._h11, request, self._go_on)
        self._has_said_close = (b"connection", b"close") in request.headers
        self._reusable = True
        return request

    async def _rest_of_head(self) -> bytes:
        with trio.move_on_after(self._timeouts.head):
            return await self.input.next_head()
        raise HTTPError(408, "the head of the request took too long")

    def _leave_plain(self) -> None:
        """Have h11 read what was plain so far, because it turns out to need more.

        A body is nothing that h11 would have to know of: it is counted as it was.
        """
        if self._plain is not None:
            head, self._plain = self._plain.head, None
            self._parsed(fast_path.without_length(head))

    def _parsed(self, head: bytes) -> h11.Request:
        self._h11.receive_data(head)
        try:
            request = self._h11.next_event()
            # Of a request without a body this is the end, without which h11
            # would not go on to a next one; else it only asks for data.
            self._h11.next_event()
        except h11.RemoteProtocolError as error:  # pragma: no cover - strict refuses more
            raise HTTPError(error.error_status_hint, str(error)) from error
        assert isinstance(request, h11.Request)  # noqa: S101 - all that a complete head can be
        return request

    # Writing

    @property
    def head_has_left(self) -> bool:
        """Whether a final response has been begun: then there can be no other."""
        return self.status != 0

    @property
    def response_has_left(self) -> bool:
        """Whether all of the final response is on its way."""
        return self._finished

    @property
    def must_close(self) -> bool:
        """Whether this exchange is the last, as far as we can tell before its response."""
        body = self.body
        known = self._reusable and body.is_sound
        return self._is_last or not known or not body.is_worth_reading

    async def inform(self, status: int, fields: RawFields) -> None:
        """Send an interim response (RFC 9110 15.2) at once."""
        self._leave_plain()
        if status == 100:
            self.body.was_continued()
        self._write(interim_head(status, fields))
        await self._output.flush()

    def end_with_this(self) -> None:
        """Let there be no request after the one at hand."""
        self._is_last = True

    def respond_plain(self, response: Response, lines: bytes) -> bool:
        """Answer a plain request past h11, as far as that takes no waiting.

        False where h11 has to do it; ``lines`` are the fields that every
        response gets. What the client has no room for waits for ``flush``.
        """
        if self._plain is None:
            return False
        if self._is_last or self._plain.length:
            lines += self._closing(self._plain)
        if (answer := fast_path.answer_to(self._plain, response, lines)) is None:
            return False
        head, body = answer
        self.status = response.status
        if isinstance(body, FileSlice) and (data := read_cached(body)) is not None:
            body = data
        if isinstance(body, bytes):
            sent = self._transport.send_at_once(head, body)
        else:
            sent = self._transport.send_file_at_once(head, body)
        self.sent = len(body)
        self._finished = sent == len(head) + len(body)
        if not self._finished:
            self._output.add(rest_of((head, body), sent))
            self._output.last, self._output.behind = self.sent, 0
        return True

    def _closing(self, request: fast_path.PlainRequest) -> bytes:
        """The line that says of a plain exchange that it is the last, if it is."""
        if request.length and self.must_close:
            self._is_last = True
        return fast_path.CLOSING if self._is_last else b""

    async def flush(self) -> None:
        """Send what is left of a plain response."""
        await self._output.flush()
        self._finished = True

    async def stream_plain(self, response: Response, lines: bytes) -> bool:
        """Answer a plain request with a stream, in chunks; false where h11 has to do it."""
        if self._plain is None:
            return False
        lines += fast_path.CHUNKED + self._closing(self._plain)
        if (head := fast_path.streamed_head(self._plain, response, lines)) is None:
            return False
        self.status = response.status
        self._output.last, self._output.behind = 0, len(fast_path.CHUNK_END)
        await self._output.send((head,))  # the client should not wait for it until a body exists
        await run(response.body, self._send_chunk)
        self._output.behind += len(fast_path.LAST_CHUNK)
        await self._output.send((fast_path.LAST_CHUNK,))
        self._finished = True
        return True

    async def _send_chunk(self, data: bytes | FileSlice) -> None:
        self._output.last = size = len(data)
        self.sent += size
        await self._output.send(fast_path.chunk_of(data))

    async def _go_on(self) -> None:
        if not self.head_has_left:  # a client that has its answer is told nothing
            await self.inform(100, ())

    async def respond(self, response: Response) -> None:
        """Send a response; its body is run as fast as the client takes it."""
        self._leave_plain()
        self._write(final_head(response.status, response.headers.raw))
        self.status = response.status
        self._output.last = self._output.behind = 0
        try:
            if not isinstance(response.body, bytes):
                await self._output.send()  # here, too
            await run(response.body, self._send_data)
            self._output.behind += self._write(end_of(asked_for(response)))
            await self._output.send()
        except BaseException:
            self._h11.send_failed()
            raise
        self._finished = True

    async def _send_data(self, data: bytes | FileSlice) -> None:
        if len(data):
            # h11 passes on, untouched, whatever has a length: so a part of a
            # file can go from the disk to the socket without being read here.
            written = self._write(h11.Data(data=data))  # type: ignore[arg-type]
            self._output.last = size = len(data)
            self._output.behind = len(fast_path.CHUNK_END) if written > size else 0
            self.sent += size
            await self._output.send()

    def _write(self, event: h11.Event) -> int:
        """Gather what an event is on the wire, and return how many bytes that is."""
        pieces = self._h11.send_with_data_passthrough(event) or ()
        self._output.add(pieces)
        return sum(map(len, pieces))

    def settle(self) -> None:
        """Take from ``sent`` what has not left of a body that was broken off."""
        self.sent -= self._output.unsent_content

    # Between exchanges

    @property
    def is_ready(self) -> bool:
        """Whether a next request may come, and nothing has to be done for that."""
        if self._plain is None or not self._finished or self._is_last:
            return False
        return not self._plain.length or self.body.is_read

    async def next_cycle(self) -> bool:
        """Make ready for a next request; false where there can be none on this connection."""
        if self._plain is not None:
            return self._finished and not self._is_last and await self.body.skip()
        if self._h11.our_state is not h11.DONE or self._is_last:
            return False
        if not (self._reusable and self.body.is_sound):
            return False
        if not await self.body.skip():
            return False
        self._h11.start_next_cycle()
        return True

    async def hang_up(self) -> None:
        """Say we are done, then listen until the client is done too.

        Closing a socket that still has unread input makes the kernel send a
        reset, and a reset can erase our last response from the client's
        receive buffer before the client has read it (RFC 9112 9.6). Most clients
        look for a response when all of their body has left, so even a body that
        nobody wants is read. A client that has said ``close`` sends nothing more.
        """
        all_read = self._reusable and self.body.is_sound and self.body.is_read
        is_done = self._has_said_close and all_read and not self.input.unread
        if self.input.ended or is_done:
            return
        with trio.move_on_after(self._timeouts.linger):
            told = await self._transport.send_eof()
            if all_read and not (self.input.unread or told):
                return  # only closing tells this client, who may wait for it
        await self.input.drop_rest(self._timeouts.linger)
