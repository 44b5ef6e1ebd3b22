"""One connection's bytes as requests, and responses as bytes.

A codec decides how messages are written and read. This module decides when bytes are read
and when they are sent, the same for both codecs: the head of a request is cut out of the
input first, so that its size and form are judged whole, a body is read only when an app
asks for it, and what is written is gathered until there is a reason to send it.
"""

from __future__ import annotations

import math

import trio

from trio_http.http1.codec import Codec, RequestHead
from trio_http.http1.fast_path import FastPath
from trio_http.http1.h11_codec import H11Codec
from trio_http.http1.head_validation import check_head
from trio_http.http1.receive_buffer import Input
from trio_http.http1.request_body import RequestBody
from trio_http.http1.response_body import run
from trio_http.http1.response_framing import CHUNK_END, FramedResponse, Streamed, interim_head
from trio_http.http1.send_buffer import Output, rest_of
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import RawFields
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.semantics.trailers import asked_for
from trio_http.transport.page_cache import read_cached
from trio_http.transport.stream import Transport


class Wire:
    """Reads requests from a transport and writes responses to it.

    ``status`` is that of the response to the current request, once its head has been sent,
    and 0 before. ``sent`` counts the bytes of its body that were given to be sent, and after
    ``settle`` those that have left: both for the record.
    """

    __slots__ = (
        "_client_closes",
        "_codec",
        "_fast_path",
        "_finished",
        "_h11",
        "_is_last",
        "_limits",
        "_output",
        "_room",
        "_takes_fast_path",
        "_timeouts",
        "_transport",
        "body",
        "input",
        "sent",
        "status",
    )

    def __init__(
        self,
        transport: Transport,
        timeouts: Timeouts,
        limits: Limits,
        behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
    ) -> None:
        self.input: Input = Input(transport, limits)
        self.body: RequestBody = RequestBody(self.input, timeouts, limits)
        self.status: int = 0
        self.sent: int = 0
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        self._output = Output(transport, timeouts.send)
        self._fast_path = FastPath(limits)
        self._takes_fast_path = behavior.fast_path
        self._h11: H11Codec | None = None  # made when it is first needed
        self._codec: Codec = self._fast_path  # of the current exchange
        self._finished = False  # whether all of the response has been given to be sent
        self._is_last = False  # whether there can be no request after the current one
        self._client_closes = False  # whether the client has said so
        self._room: float = math.inf  # bytes that the body of the response may still have

    # Reading

    def read_plain(self) -> RequestHead | None:
        """Read the request that begins with the unread bytes, if it is a plain one."""
        self.status = self.sent = 0
        self._finished = False
        self._codec = self._fast_path
        head = self._fast_path.read(self.input.unread) if self._takes_fast_path else None
        if head is not None:
            self.input.pass_over(head.size, head.line)
            if head.length or not self.body.is_none:
                self.body.begin_counted(head.length, self._go_on if head.expects else None)
            self._is_last = self._client_closes = head.closes
        return head

    async def read_any(self) -> RequestHead:
        """Read the request that begins with the unread bytes, whatever it is like.

        Raises:
            HTTPError: the head is malformed, incomplete, too large or too slow. Such a
                request can be answered, but nothing after it is read as a request.
        """
        self._is_last = True
        self.body.begin_unknown()
        received = self.input.head_at_hand() or await self._rest_of_head()
        check_head(received, self._limits)
        if self._h11 is None:
            self._h11 = H11Codec(self._limits)
        self._codec = self._h11
        head = self._h11.read(received)
        self._h11.begin_body(self.body, self._go_on)
        self._client_closes = head.closes
        self._is_last = head.closes or head.version == "1.0"
        return head

    async def _rest_of_head(self) -> bytes:
        with trio.move_on_after(self._timeouts.head):
            return await self.input.next_head()
        raise HTTPError(408, "the head of the request took too long")

    async def _go_on(self) -> None:
        if not self.head_has_left:  # a client that has its response is told nothing
            await self.inform(100, ())

    # Writing

    @property
    def head_has_left(self) -> bool:
        """Whether a final response has been begun: then there can be no other."""
        return self.status != 0

    @property
    def response_has_left(self) -> bool:
        """Whether all of the final response has been given to be sent."""
        return self._finished

    @property
    def must_close(self) -> bool:
        """Whether this exchange is the last, as far as that is known before its response.

        A client that says so, and HTTP/1.0, end the connection (RFC 9112 9.3). So does a body
        that is not worth reading, or whose end is not known.
        """
        body = self.body
        return self._is_last or not (body.is_none or (body.is_sound and body.is_worth_reading))

    async def inform(self, status: int, fields: RawFields) -> None:
        """Send an interim response (RFC 9110 15.2) at once."""
        if status == 100:
            self.body.was_continued()
        head = interim_head(status, fields)
        self._codec.interim(status, head)
        self._output.add((head,))
        await self._output.flush()

    async def respond(self, message: FramedResponse, *, is_last: bool = False) -> None:
        """Send a final response; its body is run as fast as the client takes it.

        ``is_last`` lets there be no request after it on this connection.

        Raises:
            ValueError: the body is longer or shorter than the head has promised.
            ClientDisconnected: the client is gone, or has stopped reading.
        """
        head = message.head
        if is_last or self._is_last or message.options or not self.body.is_none:
            self._is_last = is_last or self.must_close or "close" in message.options
            if self._is_last or message.options:
                head = message.head_with_connection(closes=self._is_last)
        self._codec.begin(message, head)
        self.status = message.response.status
        if isinstance(body := message.body, Streamed):
            await self._stream(head, body, message.response)
        elif not self._send_at_once(head, body):
            await self._output.flush()
        self._finished = True

    def _send_at_once(self, head: bytes, body: bytes | FileSlice) -> bool:
        """Send a head and its body as far as there is room for both; whether that was all."""
        size = len(body)
        if isinstance(body, FileSlice):
            body = read_cached(body) or body
        if not self._output.is_empty:  # an interim response that was cut off goes first
            sent = 0
        elif isinstance(body, bytes):
            sent = self._transport.send_at_once(head, body)
        else:
            sent = self._transport.send_file_at_once(head, body)
        self.sent = size
        if sent == len(head) + size:
            return True
        self._output.add(rest_of((head, body), sent))
        self._output.last, self._output.behind = size, 0
        return False

    async def _stream(self, head: bytes, streamed: Streamed, response: Response) -> None:
        promised = streamed.length
        self._room = math.inf if promised is None else promised
        self._output.last, self._output.behind = 0, len(CHUNK_END) if streamed.is_chunked else 0
        await self._output.send((head,))  # the client need not wait for it until a body exists
        await run(streamed.body, self._send_piece)
        if promised is not None and self._room:
            raise ValueError(f"a body of {promised} bytes has ended after {self.sent}")
        end = self._codec.end(asked_for(response).raw if streamed.has_trailers else ())
        self._output.behind += len(end)
        await self._output.send((end,))

    async def _send_piece(self, piece: bytes | FileSlice) -> None:
        if size := len(piece):  # an empty chunk would be the end of the body
            self._room -= size
            if self._room < 0:
                raise ValueError(f"a body goes on after the {self.sent} bytes that it has sent")
            self._output.last = size
            self.sent += size
            await self._output.send(self._codec.data(piece))

    def settle(self) -> None:
        """Take from ``sent`` what has not left of a body that was broken off."""
        self.sent -= self._output.unsent_content

    # Between exchanges

    @property
    def is_ready(self) -> bool:
        """Whether a next request may come, and nothing has to be done for that."""
        body = self.body
        return (
            self._finished
            and not self._is_last
            and (body.is_none or (body.is_sound and body.is_read))
        )

    async def next_cycle(self) -> bool:
        """Make ready for a next request; false where there can be none on this connection."""
        if not self._finished or self._is_last or not self.body.is_sound:
            return False
        return await self.body.skip()

    async def hang_up(self) -> None:
        """Say we are done, then listen until the client is done too.

        Closing a socket that still has unread input makes the kernel send a
        reset, and a reset can erase our last response from the client's
        receive buffer before the client has read it (RFC 9112 9.6). Most clients
        look for a response when all of their body has left, so even a body that
        nobody wants is read. A client that has said ``close`` sends nothing more.
        """
        all_read = self.body.is_sound and self.body.is_read
        is_done = self._client_closes and all_read and not self.input.unread
        if self.input.ended or is_done:
            return
        with trio.move_on_after(self._timeouts.linger):
            told = await self._transport.send_eof()
            if all_read and not (self.input.unread or told):
                return  # only closing tells this client, who may wait for it
        await self.input.drop_rest(self._timeouts.linger)
