"""The bytes that a client has sent and that have not been read yet."""

from __future__ import annotations

from collections.abc import Awaitable

import trio

from trio_http.http1.head_validation import BLANK_LINE, find_head
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits
from trio_http.transport.page_cache import PIECE
from trio_http.transport.splice import Pipe
from trio_http.transport.stream import Transport

_CR = 13

# Bytes that must arrive in each period while the rest of the input is dropped. If a single byte
# were enough, a client could hold a connection for years; slow links carry this in two seconds.
PORTION = 16 * 1024


class ReceiveBuffer:
    """The receiving side of a connection: buffers bytes and takes heads from them.

    ``unread`` are the received bytes that have not been read. ``ended`` is True once no more
    can arrive. ``line`` is the request line of the current head, for records.
    """

    __slots__ = ("_limits", "_transport", "ended", "line", "unread")

    def __init__(self, transport: Transport, limits: Limits) -> None:
        # Almost always exactly what one call has received: a single request leaves no rest.
        self.unread: bytes | bytearray = b""
        self.ended: bool = False
        self.line: bytes = b""
        self._transport = transport
        self._limits = limits

    async def receive(self, size: int) -> bytes:
        """Receive bytes without buffering them, or none at the end; ``unread`` must be empty."""
        data = b"" if self.ended else await self._transport.receive(size)
        self.ended = not data
        return data

    def open_pipe(self) -> Pipe | None:
        """Return a pipe for ``move``, which the caller closes; None if not supported."""
        return self._transport.open_pipe()

    def move(self, pipe: Pipe, size: int) -> int | None:
        """Move up to ``size`` of the next bytes into a pipe; return what ``Pipe.fill`` does."""
        if not self.unread:
            return pipe.fill(size)
        moved = pipe.put(self.unread[:size])
        self.drop(moved or 0)
        return moved

    def readable(self) -> Awaitable[object]:
        """Return an awaitable that ends when ``move`` can find more bytes."""
        return self._transport.readable()

    async def receive_more(self) -> bool:
        """Wait for more bytes; return False at the end of the input."""
        if not self.ended:
            data = await self._transport.receive(PIECE)
            if isinstance(self.unread, bytes):
                self.unread = bytearray(self.unread)  # grows without being copied
            self.unread += data
            self.ended = not data
        return not self.ended

    async def wait_for_request(self) -> bool:
        """Wait for the first byte of a request; return False if the input ends instead.

        One empty line before the request is skipped (RFC 9112 2.2).
        """
        if self.unread:  # a pipelined request has arrived already, but other tasks need a turn
            await trio.lowlevel.checkpoint()
        elif not self.ended:
            data = None
            while data is None:
                await self._transport.readable()
                data = self._transport.receive_now(PIECE)
            self.unread = data
            self.ended = not data
            if data and data[0] != _CR:
                return True  # the usual case
        skipped = False
        while True:
            if self.unread.startswith(b"\r\n") and not skipped:
                self.drop(2)
                skipped = True
            elif self.unread.removeprefix(b"\r"):
                return True
            elif not await self.receive_more():
                return False

    def pass_over(self, size: int, line: bytes) -> None:
        """Mark a head of ``size`` bytes with this request line as read."""
        self.drop(size)
        self.line = line

    def head_at_hand(self) -> bytes | None:
        """Return the head if all of it has arrived and is within the limit, else None."""
        end = self.unread.find(BLANK_LINE, 0, self._limits.head)
        if end < 0:
            return None
        head = self.cut(end + len(BLANK_LINE))
        self.line = head[: min(head.index(b"\r\n"), self._limits.target)]
        return head

    async def next_head(self) -> bytes:
        """Wait for a complete head and return it with its blank line.

        Raises ``HTTPError`` if the head is too large or cut off, or as soon as it is malformed.
        """
        looked_at = 0
        try:
            while (end := find_head(self.unread, looked_at, self._limits)) is None:
                looked_at = len(self.unread)
                if not await self.receive_more():
                    raise HTTPError(400, "the request ends before its head is complete")
        finally:
            self.line = bytes(self.unread[: self._limits.target]).splitlines()[0]
        return self.cut(end)

    def cut(self, size: int) -> bytes:
        """Remove the first ``size`` unread bytes and return them."""
        data = bytes(self.unread[:size])
        self.drop(size)
        return data

    def drop(self, size: int) -> None:
        """Remove the first ``size`` unread bytes."""
        if size >= len(self.unread):
            self.unread = b""
        elif isinstance(self.unread, bytearray):
            del self.unread[:size]
        else:
            self.unread = bytearray(self.unread[size:])

    async def drop_rest(self, patience: float) -> None:
        """Drop the input to its end, but at most ``limits.linger`` bytes.

        Stops when a ``PORTION`` takes longer than ``patience`` seconds.
        """
        dropped = due = 0
        with trio.move_on_after(patience) as waiting:
            while dropped < self._limits.linger:
                data = await self._transport.receive(PIECE)
                if not data:
                    return
                dropped += len(data)
                if dropped >= due:
                    waiting.deadline = trio.current_time() + patience
                    due = dropped + PORTION
