"""Reading the requests of one connection and sending the responses.

A codec decides how a message is parsed and framed. This module decides, for both codecs, when
bytes are received and sent: a complete head is taken from the input first, so that its size
and form can be checked as a whole; a body is received only when the app asks for it; output
is gathered until there is a reason to send it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import trio

from trio_http.http1.codec import Codec, RequestHead
from trio_http.http1.fast_path import FastPath
from trio_http.http1.h11_codec import H11Codec
from trio_http.http1.head_validation import check_head
from trio_http.http1.receive_buffer import ReceiveBuffer
from trio_http.http1.request_body import RequestBody
from trio_http.http1.response_body import run
from trio_http.http1.response_framing import CHUNK_END, FramedResponse, Streamed, interim_head
from trio_http.http1.send_buffer import SendBuffer, rest_of
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
    """Reads the requests of a connection and sends the responses.

    For the record, ``status`` is that of the response, or 0 until its head is sent, and
    ``sent`` counts the bytes of its body: those passed on for sending or, after ``settle``,
    those that were sent.
    """

    __slots__ = (
        "_client_closes",
        "_codec",
        "_fast_path",
        "_finished",
        "_h11",
        "_has_informed",
        "_is_last",
        "_limits",
        "_output",
        "_promised",
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
        self.input: ReceiveBuffer = ReceiveBuffer(transport, limits)
        self.body: RequestBody = RequestBody(self.input, timeouts, limits)
        self.status: int = 0
        self.sent: int = 0
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        self._output = SendBuffer(transport, timeouts.send, limits.send_rate)
        self._fast_path = FastPath(limits)
        self._takes_fast_path = behavior.fast_path
        self._h11: H11Codec | None = None  # created when it is first needed
        self._codec: Codec = self._fast_path  # of the current exchange
        self._finished = False  # whether the whole response has been passed on for sending
        self._has_informed = False  # whether the current exchange has an interim response
        self._is_last = False  # whether the connection closes after the current exchange
        self._client_closes = False  # whether the client has sent ``Connection: close``
        # The Content-Length of the current response, if its body is streamed.
        self._promised: int | None = None

    # Reading

    def read_plain(self) -> RequestHead | None:
        """Parse the head at the start of the unread bytes if it is plain, else return None."""
        self.status = self.sent = 0
        self._finished = self._has_informed = False
        self._codec = self._fast_path
        head = self._fast_path.read(self.input.unread) if self._takes_fast_path else None
        if head is not None:
            self.input.pass_over(head.size, head.line)
            if head.length or not self.body.is_none:
                self.body.begin_counted(head.length, self._go_on if head.expects else None)
            self._is_last = self._client_closes = head.closes
        return head

    async def read_any(self) -> RequestHead:
        """Wait for a complete head, validate it and parse it with h11.

        Raises:
            HTTPError: the head is malformed, incomplete, too large or too slow. A response
                can still be sent, but no further request is read.
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
        raise HTTPError(408, "the request head took too long to arrive")

    async def _go_on(self) -> None:
        if not self.head_has_left:  # interim responses come before the final one
            await self.inform(100, ())

    # Writing

    @property
    def head_has_left(self) -> bool:
        """True once a final response has been begun, so that no other can be sent."""
        return self.status != 0

    @property
    def response_has_left(self) -> bool:
        """True once the whole final response has been passed on for sending."""
        return self._finished

    @property
    def must_close(self) -> bool:
        """True if the request requires the connection to close after the response.

        That is so for ``Connection: close`` and HTTP/1.0 (RFC 9112 9.3), and for an unread
        body that is not worth reading or whose end is unknown.
        """
        body = self.body
        return self._is_last or not (body.is_none or (body.is_sound and body.is_worth_reading))

    async def inform(self, status: int, fields: RawFields) -> None:
        """Send an interim response (RFC 9110 15.2) without delay."""
        if status == 100:
            self.body.was_continued()
        head = interim_head(status, fields)
        self._codec.interim(status, head)
        self._has_informed = True
        self._output.add((head,))
        await self._output.flush()

    def respond(
        self, message: FramedResponse, *, is_last: bool = False
    ) -> Coroutine[Any, Any, None] | None:
        """Send a final response as far as that takes no waiting.

        ``is_last`` closes the connection after it.

        Returns:
            A coroutine that sends the rest, running the body as fast as the client reads, and
            that must be awaited. None, in almost all cases, if the whole response has been
            sent: a coroutine per response would cost as much as its framing.

        Raises:
            ValueError: the body is longer or shorter than its ``Content-Length``.
            ClientDisconnected: the client has left or has stopped reading.
        """
        head, body = message.head, message.body
        if is_last or self._is_last or message.options or not self.body.is_none:
            self._is_last = is_last or self.must_close or "close" in message.options
            if self._is_last or message.options:
                head = message.head_with_connection(closes=self._is_last)
        self._codec.begin(message, head)
        self.status = message.response.status
        if isinstance(body, Streamed):
            return self._stream(head, body, message.response)
        size = len(body)
        if isinstance(body, FileSlice):
            body = read_cached(body) or body
        if self._has_informed:  # the rest of an interim response would have to be sent first
            sent = 0
        elif isinstance(body, bytes):
            sent = self._transport.send_at_once(head, body)
        else:
            sent = self._transport.send_file_at_once(head, body)
        self.sent = size
        if sent == len(head) + size:
            self._finished = True
            return None
        return self._send_rest(head, body, sent)

    async def _send_rest(self, head: bytes, body: bytes | FileSlice, sent: int) -> None:
        self._output.add(rest_of((head, body), sent))
        self._output.last, self._output.behind = len(body), 0
        await self._output.flush()
        self._finished = True

    async def _stream(self, head: bytes, streamed: Streamed, response: Response) -> None:
        promised = self._promised = streamed.length
        self._output.last, self._output.behind = 0, len(CHUNK_END) if streamed.is_chunked else 0
        await self._output.send((head,))  # the first piece of the body may take long
        await run(streamed.body, self._send_piece if promised is None else self._send_counted)
        if promised is not None and self.sent < promised:
            raise ValueError(f"a body of {promised} bytes ended after {self.sent}")
        end = self._codec.end(asked_for(response).raw if streamed.has_trailers else ())
        self._output.behind += len(end)
        await self._output.send((end,))
        self._finished = True

    async def _send_counted(self, piece: bytes | FileSlice) -> None:
        if self._promised is not None and self.sent + len(piece) > self._promised:
            raise ValueError(f"a body exceeds its Content-Length after {self.sent} bytes")
        await self._send_piece(piece)

    async def _send_piece(self, piece: bytes | FileSlice) -> None:
        if size := len(piece):  # an empty chunk would be the end of the body
            self._output.last = size
            self.sent += size
            await self._output.send(self._codec.data(piece))

    def settle(self) -> None:
        """Subtract from ``sent`` the bytes of an aborted body that were never sent."""
        self.sent -= self._output.unsent_content

    # Between exchanges

    @property
    def is_ready(self) -> bool:
        """True if the next request can be read at once, with no body left to skip."""
        body = self.body
        return (
            self._finished
            and not self._is_last
            and (body.is_none or (body.is_sound and body.is_read))
        )

    async def next_cycle(self) -> bool:
        """Skip an unread body; return False if the connection must close instead."""
        if not self._finished or self._is_last or not self.body.is_sound:
            return False
        return await self.body.skip()

    async def hang_up(self) -> None:
        """Close the sending side, then read until the client closes too.

        Closing a socket that has unread input makes the kernel send a reset, which can erase
        the last response from the client's receive buffer before the client has read it
        (RFC 9112 9.6). Most clients look for a response only after they have sent their whole
        body, so the rest of a body is read and dropped. A client that has sent ``close`` sends
        nothing more.
        """
        all_read = self.body.is_sound and self.body.is_read
        is_done = self._client_closes and all_read and not self.input.unread
        if self.input.ended or is_done:
            return
        with trio.move_on_after(self._timeouts.linger):
            told = await self._transport.send_eof()
            if all_read and not (self.input.unread or told):
                return  # the stream has no half-close, and the client may wait for the close
        await self.input.drop_rest(self._timeouts.linger)
