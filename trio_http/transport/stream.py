"""The interface between a connection and the stream that carries its bytes.

A connection uses a ``Transport``. Sockets have their own implementation, in ``sockets``; every
other stream (TLS, memory, a user's own) goes through Trio's interface, in this module.

``ClientDisconnected`` means that a client has left or did not take a byte in time; no other
error of the network is raised.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

import trio

from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.semantics.pace import Pace
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport.page_cache import PIECE, send_pieces
from trio_http.transport.readiness import Levels
from trio_http.transport.room import LOOKS
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.splice import Pipe
from trio_http.transport.tls import Encrypted


class Transport(Protocol):
    """The operations that a connection needs.

    Sending gives a client up that is ``patience`` seconds behind ``rate`` bytes per second.
    Without any progress it is after that time, and a rate of 0 demands no more than progress.
    """

    passed: int
    """The bytes that ``send`` and ``send_file`` have sent, completely or not."""

    @property
    def scheme(self) -> str:
        """``https`` if the stream is TLS (RFC 9110 4.2.2), otherwise ``http``."""
        ...

    def readable(self) -> Awaitable[object]:
        """Return what to await directly before ``receive_now``: always a checkpoint."""
        ...

    def receive_now(self, size: int) -> bytes | None:
        """Return at least one byte, or none at the end of input, or None after a false alarm."""
        ...

    async def receive(self, size: int) -> bytes:
        """Return at least one byte, or none at the end of input; always a checkpoint."""
        ...

    def open_pipe(self) -> Pipe | None:
        """Return a pipe that is filled with the client's bytes, or None if unsupported."""
        ...

    def interrupt(self) -> None:
        """End the current receive call as at the end of input."""
        ...

    def has_unread(self) -> bool:
        """Return whether received bytes are still unread, as far as this can be known.

        An unfinished handshake that the client has begun counts as unread bytes.
        """
        ...

    def send_at_once(self, head: bytes, behind: bytes = b"") -> int:
        """Send as much as the client has room for, and return the number of bytes."""
        ...

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:
        """Send a head and a part of a file after it, as ``send_at_once`` does.

        Send nothing if that would have to wait for a disk.
        """
        ...

    async def send(self, data: bytes, patience: float, rate: float = 0) -> None:
        """Send all bytes; a checkpoint only if the client has no room for them."""
        ...

    async def send_file(self, piece: FileSlice, patience: float, rate: float = 0) -> None:
        """Send a part of a file without holding it in memory."""
        ...

    async def send_eof(self) -> bool:
        """Close the sending side; return False if the stream cannot do that."""
        ...

    def abort(self) -> None:
        """Make ``aclose`` end the connection so that the client sees it was cut off."""
        ...

    async def aclose(self) -> None:
        """Close the stream, in any state and also while cancelled."""
        ...


class StreamTransport:
    """Any stream of Trio's; ``aclose_patience`` limits the seconds that closing may take."""

    __slots__ = (
        "_aclose_patience",
        "_is_cut",
        "_pace",
        "_received",
        "_receiving",
        "_stream",
        "passed",
    )

    def __init__(self, stream: trio.abc.Stream, aclose_patience: float) -> None:
        self._stream = stream
        self._aclose_patience = aclose_patience
        self._receiving: trio.CancelScope | None = None
        self._received = b""
        self._pace: Pace | None = None  # made when the first piece is sent
        self._is_cut = False  # whether an unknown part of a piece has been sent
        self.passed: int = 0

    @property
    def scheme(self) -> str:
        return "https" if isinstance(self._stream, Encrypted) else "http"

    async def readable(self) -> None:
        self._received = await self.receive(PIECE)

    def receive_now(self, size: int) -> bytes | None:
        data, self._received = self._received[:size], self._received[size:]
        return data

    async def receive(self, size: int) -> bytes:
        with trio.CancelScope() as self._receiving:
            return await self._receive(size)
        return b""  # the receive call was interrupted

    async def _receive(self, size: int) -> bytes:
        try:
            return bytes(await self._stream.receive_some(size))
        except trio.BrokenResourceError as error:
            raise ClientDisconnected("the connection is broken") from error

    def open_pipe(self) -> Pipe | None:
        return None

    def interrupt(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()

    def has_unread(self) -> bool:
        stream = self._stream
        if isinstance(stream, Encrypted):
            if stream.is_shaking_hands:
                return True
            stream = stream.carried_by
        if isinstance(stream, trio.SocketStream):
            with suppress(OSError, ValueError):  # the socket is closed
                return stream.socket.is_readable()
        return False

    def send_at_once(self, head: bytes, behind: bytes = b"") -> int:  # noqa: ARG002
        """Send nothing: Trio's streams always wait."""
        return 0

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:  # noqa: ARG002
        """Send nothing, as ``send_at_once``."""
        return 0

    async def send(self, data: bytes, patience: float, rate: float = 0) -> None:
        if self._is_cut:
            raise ClientDisconnected("the connection was broken off")
        view = memoryview(data)
        self._is_cut = True
        try:
            for start in range(0, len(data), PIECE):
                piece = view[start : start + PIECE]
                await self._send_piece(piece, patience, rate)
                self.passed += len(piece)
            self._is_cut = False
        except trio.TooSlowError:
            raise ClientDisconnected("the client has stopped reading") from None
        except trio.BrokenResourceError as error:
            raise ClientDisconnected("the connection is broken") from error

    async def _send_piece(self, piece: memoryview, patience: float, rate: float) -> None:
        if isinstance(self._stream, Encrypted) and self._stream.sees_progress(patience, rate):
            return await self._stream.send_all(piece)
        # How much of a piece has left cannot be known: the whole of it counts, when it has. A
        # short wait may be our own, because other tasks run meanwhile.
        pace = self._pace = self._pace or Pace(rate)
        began = trio.current_time()
        with trio.fail_at(began + patience - pace.lag):
            await self._stream.send_all(piece)
        if (waited := trio.current_time() - began) > patience / LOOKS:
            pace.wait(waited)
        pace.move(len(piece))
        return None

    async def send_file(self, piece: FileSlice, patience: float, rate: float = 0) -> None:
        await send_pieces(piece, lambda data: self.send(data, patience, rate))

    async def send_eof(self) -> bool:
        if not isinstance(self._stream, trio.abc.HalfCloseableStream):
            return False
        try:
            await self._stream.send_eof()
        except trio.BrokenResourceError as error:
            raise ClientDisconnected("the connection is broken") from error
        return True

    def abort(self) -> None:
        self._aclose_patience = 0

    async def aclose(self) -> None:
        # TLS sends ``close_notify`` to a client that may not be reading. A stream that is
        # closed while cancelled is still closed, only without ``close_notify``.
        with (
            trio.move_on_after(self._aclose_patience, shield=True),
            suppress(trio.BrokenResourceError),
        ):
            await self._stream.aclose()


def transport_of(stream: trio.abc.Stream, timeouts: Timeouts) -> Transport:
    """Return the fastest transport for a stream, which closes the stream from now on."""
    if isinstance(stream, trio.SocketStream):
        connected = socket.socket(fileno=stream.socket.detach())
        connected.setblocking(False)  # noqa: FBT003 - the library's own signature
        return SocketTransport(connected, Levels(connected))
    if isinstance(stream, trio.SSLStream):
        stream = Encrypted(stream, timeouts.head)
    return StreamTransport(stream, timeouts.linger)
