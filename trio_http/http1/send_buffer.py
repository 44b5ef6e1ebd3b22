"""The bytes of responses that wait to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from trio_http.semantics.bodies import FileSlice
from trio_http.transport.page_cache import read_cached
from trio_http.transport.stream import Transport


class SendBuffer:
    """The sending side of a connection: gathers bytes and parts of files, in order.

    They are sent in as few calls as possible, so that a head and a short body share a packet.
    ``patience`` and ``rate`` are those of ``Transport``.
    """

    __slots__ = ("_gathered", "_patience", "_rate", "_transport", "behind", "last")

    def __init__(self, transport: Transport, patience: float, rate: float = 0) -> None:
        self._transport = transport
        self._patience = patience
        self._rate = rate
        self._gathered: list[bytes | FileSlice] = []
        self.last: int = 0
        """The length of the body piece that was gathered last."""
        self.behind: int = 0
        """The length of the framing that was gathered after that piece."""

    def add(self, pieces: Iterable[bytes | FileSlice]) -> None:
        """Gather pieces for the next flush."""
        self._gathered += pieces

    @property
    def unsent(self) -> int:
        """The number of gathered bytes that the transport has not taken."""
        return sum(map(len, self._gathered))

    @property
    def unsent_content(self) -> int:
        """The number of unsent bytes of the body; only its last piece can be unsent."""
        return min(max(self.unsent - self.behind, 0), self.last)

    def flush_at_once(self) -> bool:
        """Send as much as possible without waiting; return whether everything was sent."""
        try:
            data = b"".join(cast(list[bytes], self._gathered))
        except TypeError:  # some pieces are parts of files
            return False
        sent = self._transport.send_at_once(data) if data else 0
        self._gathered = [] if sent == len(data) else [data[sent:]]
        return not self._gathered

    async def send(self, pieces: Iterable[bytes | FileSlice] = ()) -> None:
        """Gather pieces and send everything, waiting only if the socket has no room."""
        self._gathered += pieces
        if not self.flush_at_once():
            await self.flush()

    async def flush(self) -> None:
        """Send everything gathered; return when the client's stream has taken it.

        After an exception, the rest stays gathered. So a handler that gives up waiting for a
        slow client and then sends something else leaves no gap in the response.
        """
        pieces, self._gathered = self._gathered, []
        before = self._transport.passed
        try:
            await self._send_all(pieces)
        except BaseException:
            self._gathered[:0] = rest_of(pieces, self._transport.passed - before)
            raise

    async def _send_all(self, pieces: Sequence[bytes | FileSlice]) -> None:
        data: list[bytes] = []
        for piece in pieces:
            if not isinstance(piece, FileSlice):
                data.append(piece)
            elif (found := read_cached(piece)) is not None:
                data.append(found)  # short and in memory: sent together with its neighbours
            else:
                await self._send(data)
                data = []
                await self._transport.send_file(piece, self._patience, self._rate)
        await self._send(data)

    async def _send(self, data: list[bytes]) -> None:
        if data:
            await self._transport.send(b"".join(data), self._patience, self._rate)


def rest_of(pieces: Iterable[bytes | FileSlice], sent: int) -> list[bytes | FileSlice]:
    """Return the pieces without their first ``sent`` bytes."""
    rest: list[bytes | FileSlice] = []
    for piece in pieces:
        if sent >= len(piece):
            sent -= len(piece)
        else:
            rest.append(piece[sent:] if isinstance(piece, bytes) else piece.after(sent))
            sent = 0
    return rest
