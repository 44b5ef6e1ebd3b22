"""Responses as a client receives them, whole or while they arrive."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Self

import trio

from trio_http.semantics.field_values import parameter_of
from trio_http.semantics.headers import Headers
from trio_http.semantics.incoming_body import text_in
from trio_http.semantics.server_sent_events import ServerSentEvent
from trio_http.semantics.statuses import WITHOUT_LENGTH

_END_OF_EVENT = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """A received response.

    ``body`` is the content without framing, but still in the content coding in which it was
    sent: a test that sends ``Accept-Encoding`` has to decode it.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        headers: the header fields.
        body: the content, with all chunks joined.
        trailers: the trailer fields, which are empty for most responses.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    trailers: Headers

    def text(self) -> str:
        """Return the body as text, decoded in the charset of ``Content-Type`` or else UTF-8.

        Raises:
            HTTPError: the body is not valid in that charset, or the charset is unknown.
        """
        charset = parameter_of(self.headers.get("Content-Type") or "", "charset")
        return text_in(self.body, charset or "utf-8")

    def json(self) -> Any:
        """Return the value of the body as JSON, whatever its ``Content-Type``.

        Raises:
            ValueError: the body is not JSON in UTF-8.
        """
        return json.loads(self.body)


class OpenResponse:
    """A response whose head has been received, and whose body is received on demand.

    Attributes:
        status: the status code.
        reason: the reason phrase.
        headers: the header fields.
        trailers: the trailer fields, once the body has been received to its end.
    """

    def __init__(
        self, reader: MessageReader, status: int, reason: str, headers: Headers, method: str
    ) -> None:
        self.status: int = status
        self.reason: str = reason
        self.headers: Headers = headers
        self.trailers: Headers = Headers()
        self._reader = reader
        self._is_chunked = headers.get("Transfer-Encoding") == "chunked"
        # The remaining bytes of the body (RFC 9112 6.3).
        self._left = math.inf
        if method == "HEAD" or status < 200 or status in WITHOUT_LENGTH:
            self._left = 0
        elif not self._is_chunked and "Content-Length" in headers:
            self._left = int(headers["Content-Length"])
        self._unread = b""  # received bytes that ``event`` has not parsed yet

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.receive_some()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def receive_some(self) -> bytes:
        """Receive the next bytes of the body, or ``b""`` at its end.

        Of a chunked body these are one chunk: the bytes of one call of ``send`` in the app.

        Raises:
            EOFError: the server closed the connection before the end of the body.
        """
        if self._left == 0:
            return b""
        if self._is_chunked:
            piece, trailers = await self._reader.chunk()
            if not piece:
                self._left = 0
                self.trailers = trailers
            return piece
        piece = await self._reader.some(self._left)
        if not piece and self._left != math.inf:
            raise EOFError("the connection was closed in a response")
        self._left -= len(piece)
        return piece

    async def read(self) -> bytes:
        """Receive the rest of the body."""
        return b"".join([piece async for piece in self])

    async def event(self) -> ServerSentEvent:
        """Receive the next server-sent event; comments are skipped.

        Raises:
            EOFError: the response has ended.
        """
        while True:
            while not (end := _END_OF_EVENT.search(self._unread)):
                piece = await self.receive_some()
                if not piece:
                    raise EOFError("the response has no more events")
                self._unread += piece
            lines, self._unread = self._unread[: end.start()], self._unread[end.end() :]
            event = ServerSentEvent.parse(lines.decode())
            if event is not None:
                return event


class MessageReader:
    """Parses responses without validating them, because only tests use it."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._received = bytearray()

    async def head(self) -> tuple[bytes, Headers]:
        """Return the status line and the header fields of the next response."""
        return await self._line(), await self._fields()

    async def chunk(self) -> tuple[bytes, Headers]:
        """Return the data of the next chunk, or ``b""`` and the trailer fields for the last one."""
        size = int((await self._line()).partition(b";")[0], 16)
        if not size:
            return b"", await self._fields()
        while len(self._received) < size + 2:
            await self._need_more()
        return self._cut(size + 2)[:-2], Headers()

    async def some(self, most: float) -> bytes:
        """Return up to ``most`` bytes as soon as there are any, or ``b""`` at the end."""
        if not self._received:
            await self._receive()
        return self._cut(int(min(most, len(self._received))))

    async def rest(self) -> bytes:
        """Return all bytes until the end of the connection."""
        while await self._receive():
            pass
        return self._cut(len(self._received))

    async def _fields(self) -> Headers:
        pairs = []
        while line := await self._line():
            name, _, value = line.partition(b":")
            pairs.append((name, value.strip()))
        return Headers.received(pairs)

    async def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            await self._need_more()
        return self._cut(end + 2)[:-2]

    def _cut(self, size: int) -> bytes:
        cut = bytes(self._received[:size])
        del self._received[:size]
        return cut

    async def _need_more(self) -> None:
        if not await self._receive():
            raise EOFError(f"the connection was closed in a response: {bytes(self._received)!r}")

    async def _receive(self) -> bool:
        data = await self._stream.receive_some(65536)
        self._received += data
        return bool(data)
