"""What a client has sent and nobody has read yet."""

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

# The bytes that a client which still sends has to get through in each step. A single
# byte would do to hold a connection for years; slow links carry this in two seconds.
PORTION = 16 * 1024


class Input:
    """The receiving side of a connection: bytes in order, and heads cut out of them.

    ``unread`` belongs to whoever reads; ``ended`` says that nothing will come
    behind it; ``line`` is the request line of the head at hand, for records.
    """

    __slots__ = ("_limits", "_transport", "ended", "line", "unread")

    def __init__(self, transport: Transport, limits: Limits) -> None:
        # As it came, mostly: of a request that comes alone nothing is left.
        self.unread: bytes | bytearray = b""
        self.ended: bool = False
        self.line: bytes = b""
        self._transport = transport
        self._limits = limits

    async def receive(self, size: int) -> bytes:
        """The next bytes where none are unread, for whoever keeps them; none at the end."""
        data = b"" if self.ended else await self._transport.receive(size)
        self.ended = not data
        return data

    def open_pipe(self) -> Pipe | None:
        """A pipe for ``move``, to be closed by whoever asks; None where there is no such way."""
        return self._transport.open_pipe()

    def move(self, pipe: Pipe, size: int) -> int | None:
        """Have a pipe take up to so many of the next bytes; what ``Pipe.fill`` returns."""
        if not self.unread:
            return pipe.fill(size)
        moved = pipe.put(self.unread[:size])
        self.drop(moved or 0)
        return moved

    def readable(self) -> Awaitable[object]:
        """What to await before ``move``, where it has found nothing."""
        return self._transport.readable()

    async def receive_more(self) -> bool:
        """Wait for more bytes; false at the end of the input."""
        if not self.ended:
            data = await self._transport.receive(PIECE)
            if isinstance(self.unread, bytes):
                self.unread = bytearray(self.unread)  # which grows without being copied
            self.unread += data
            self.ended = not data
        return not self.ended

    async def wait_for_request(self) -> bool:
        """Wait until a next request begins; false where the input ends instead.

        One empty line before it is no request yet (RFC 9112 2.2).
        """
        if self.unread:  # pipelined: there is nothing to wait for, but others want their turn
            await trio.lowlevel.checkpoint()
        elif not self.ended:
            data = None
            while data is None:
                await self._transport.readable()
                data = self._transport.receive_now(PIECE)
            self.unread = data
            self.ended = not data
            if data and data[0] != _CR:
                return True  # as mostly
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
        """Take a head as read that is so long and begins with this line."""
        self.drop(size)
        self.line = line

    def head_at_hand(self) -> bytes | None:
        """What ``next_head`` returns, where there is nothing to wait for or to refuse."""
        end = self.unread.find(BLANK_LINE, 0, self._limits.head)
        if end < 0:
            return None
        head = self.cut(end + len(BLANK_LINE))
        self.line = head[: min(head.index(b"\r\n"), self._limits.target)]
        return head

    async def next_head(self) -> bytes:
        """The head that begins with the bytes at hand, up to its blank line.

        One that is too large, incomplete, or shows early that it is none
        raises ``HTTPError``.
        """
        looked_at = 0
        try:
            while (end := find_head(self.unread, looked_at, self._limits)) is None:
                looked_at = len(self.unread)
                if not await self.receive_more():
                    raise HTTPError(400, "the request ends within its head")
        finally:
            self.line = bytes(self.unread[: self._limits.target]).splitlines()[0]
        return self.cut(end)

    def cut(self, size: int) -> bytes:
        """The first bytes of what is unread, which are read herewith."""
        data = bytes(self.unread[:size])
        self.drop(size)
        return data

    def drop(self, size: int) -> None:
        """Take the first bytes of what is unread as read."""
        if size >= len(self.unread):
            self.unread = b""
        elif isinstance(self.unread, bytearray):
            del self.unread[:size]
        else:
            self.unread = bytearray(self.unread[size:])

    async def drop_rest(self, patience: float) -> None:
        """Read and drop the input to its end, but at most ``limits.linger`` bytes.

        Each ``PORTION`` of it has ``patience`` seconds to arrive.
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
