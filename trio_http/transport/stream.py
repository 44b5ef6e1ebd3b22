"""The seam between a connection and whatever carries its bytes.

``Transport`` is what a connection asks for. Sockets have a way of their own to
give it, in ``sockets``; every other stream (TLS, memory, one of the user's own)
goes through Trio's interface, here.

A client that is gone, or does not take a byte in the time it has, raises
``ClientDisconnected``; no error of a network's goes further up otherwise.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

import trio

from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport.page_cache import PIECE, send_pieces
from trio_http.transport.readiness import Levels
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.splice import Pipe
from trio_http.transport.tls import Encrypted


class Transport(Protocol):
    """What a connection asks of its stream; ``patience`` is in seconds, for each step forward."""

    passed: int
    """The number of bytes that ``send`` and ``send_file`` have passed on, broken off or not."""

    @property
    def scheme(self) -> str:
        """``https`` where the stream is TLS (RFC 9110 4.2.2), otherwise ``http``."""
        ...

    def readable(self) -> Awaitable[object]:
        """What to await before ``receive_now``, and nothing else: always a checkpoint."""
        ...

    def receive_now(self, size: int) -> bytes | None:
        """At least one byte, or none at the end of input, or None after a false alarm."""
        ...

    async def receive(self, size: int) -> bytes:
        """At least one byte, or none at the end of input; always a checkpoint."""
        ...

    def open_pipe(self) -> Pipe | None:
        """A pipe to be filled with what comes, or None where there is no way to."""
        ...

    def interrupt(self) -> None:
        """Have whoever waits to receive find the end of the input."""
        ...

    def has_unread(self) -> bool:
        """Return whether bytes have come that nobody has received, as far as can be told.

        A handshake that the client has begun counts as such.
        """
        ...

    def send_at_once(self, head: bytes, behind: bytes = b"") -> int:
        """Pass on what the client has room for, and tell how much that was."""
        ...

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:
        """Pass on a head and a part of a file behind it, as ``send_at_once`` does.

        None of it where that would have to wait for a disk.
        """
        ...

    async def send(self, data: bytes, patience: float) -> None:
        """Pass all of it on; a checkpoint only where the client has no room for it."""
        ...

    async def send_file(self, piece: FileSlice, patience: float) -> None:
        """Pass a part of a file on, without holding it in memory."""
        ...

    async def send_eof(self) -> bool:
        """Say that nothing more will be sent; false where the stream has no way to."""
        ...

    def abort(self) -> None:
        """Have ``aclose`` end the connection so that the client sees it was cut off."""
        ...

    async def aclose(self) -> None:
        """Let go of the stream, in any state and also while cancelled."""
        ...


class StreamTransport:
    """Any of Trio's streams; ``aclose_patience`` bounds how long saying goodbye may take."""

    __slots__ = ("_aclose_patience", "_is_cut", "_received", "_receiving", "_stream", "passed")

    def __init__(self, stream: trio.abc.Stream, aclose_patience: float) -> None:
        self._stream = stream
        self._aclose_patience = aclose_patience
        self._receiving: trio.CancelScope | None = None
        self._received = b""
        self._is_cut = False  # whether the client has got an unknown part of a piece
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
        return b""  # interrupted

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
            with suppress(OSError, ValueError):  # it is closed
                return stream.socket.is_readable()
        return False

    def send_at_once(self, head: bytes, behind: bytes = b"") -> int:  # noqa: ARG002
        """None of it: Trio's streams have no way to."""
        return 0

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:  # noqa: ARG002
        """None of it, either."""
        return 0

    async def send(self, data: bytes, patience: float) -> None:
        if self._is_cut:
            raise ClientDisconnected("the connection was broken off")
        view = memoryview(data)
        self._is_cut = True
        try:
            for start in range(0, len(data), PIECE):
                piece = view[start : start + PIECE]
                with trio.fail_after(patience):
                    await self._stream.send_all(piece)
                self.passed += len(piece)
            self._is_cut = False
        except trio.TooSlowError:
            raise ClientDisconnected("the client has stopped reading") from None
        except trio.BrokenResourceError as error:
            raise ClientDisconnected("the connection is broken") from error

    async def send_file(self, piece: FileSlice, patience: float) -> None:
        await send_pieces(piece, lambda data: self.send(data, patience))

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
        # TLS says goodbye to a client that may not listen. A stream that is
        # closed while cancelled is closed all the same, only without manners.
        with (
            trio.move_on_after(self._aclose_patience, shield=True),
            suppress(trio.BrokenResourceError),
        ):
            await self._stream.aclose()


def transport_of(stream: trio.abc.Stream, timeouts: Timeouts) -> Transport:
    """The quickest way to drive a stream, which is this transport's to close from now on."""
    if isinstance(stream, trio.SocketStream):
        connected = socket.socket(fileno=stream.socket.detach())
        connected.setblocking(False)  # noqa: FBT003 - the library's own way to say it
        return SocketTransport(connected, Levels(connected))
    if isinstance(stream, trio.SSLStream):
        stream = Encrypted(stream, timeouts.head)
    return StreamTransport(stream, timeouts.linger)
