"""A connection's bytes over a socket of the operating system, used directly.

Each call is tried first, and waits for readiness only if the kernel has no data or no room.
That halves the cost of ``trio.SocketStream``, because a call that succeeds at once needs no
turn of the scheduler. ``Transport`` in ``stream`` documents the methods.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import trio

from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport.page_cache import READS, is_cached, send_pieces
from trio_http.transport.readiness import Arrivals
from trio_http.transport.room import Room
from trio_http.transport.splice import Pipe, open_pipe

# With this flag, Linux holds back a partial packet because more data follows.
_MORE_TO_COME = getattr(socket, "MSG_MORE", 0)

# Bytes of a body from which copying it after its head costs more than a call for both.
JOINED = 16 * 1024 if hasattr(socket.socket, "sendmsg") else sys.maxsize

# Maximum bytes per sendfile call: more saves little, and makes other connections wait.
SENDFILE_PIECE = 256 * 1024

# Bytes for a client on this machine that may wait in the kernel until they can be sent.
NEAR_UNSENT = 16 * 1024


class SocketTransport:
    """A connected, non-blocking socket of the operating system."""

    __slots__ = ("_arrivals", "_room", "_socket", "passed")

    def __init__(self, connected: socket.socket, arrivals: Arrivals) -> None:
        self._socket = connected
        self._arrivals = arrivals
        self._room: Room | None = None  # made when there is none for the first time
        self.passed: int = 0

    @property
    def scheme(self) -> str:
        return "http"

    def readable(self) -> Awaitable[object]:
        return self._arrivals.wait()

    def receive_now(self, size: int) -> bytes | None:
        try:
            data = self._socket.recv(size)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ClientDisconnected("the connection is broken") from error
        if len(data) == size:
            self._arrivals.leave_some()
        return data

    async def receive(self, size: int) -> bytes:
        # The next part of a body has usually arrived by now.
        if (data := self.receive_now(size)) is not None:
            await trio.lowlevel.checkpoint()
        while data is None:
            await self.readable()
            data = self.receive_now(size)
        return data

    def open_pipe(self) -> Pipe | None:
        return open_pipe(self._socket.fileno(), self._arrivals)

    def interrupt(self) -> None:
        self._arrivals.interrupt()

    def has_unread(self) -> bool:
        with suppress(OSError):  # nothing has arrived, or the connection is broken
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        return False

    async def send(self, data: bytes, patience: float, rate: float = 0) -> None:
        rest = memoryview(data)
        while rest:
            sent = self.send_at_once(rest)
            self.passed += sent
            rest = rest[sent:]
            if rest:
                await self._writable(patience, rate)

    def send_at_once(self, head: bytes | memoryview, behind: bytes = b"", flags: int = 0) -> int:
        try:
            if len(behind) < JOINED:
                return self._socket.send(b"".join((head, behind)) if behind else head, flags)
            return self._socket.sendmsg((head, behind), (), flags)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ClientDisconnected("the connection is broken") from error

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:
        size = min(SENDFILE_PIECE, piece.length)
        if not hasattr(os, "sendfile") or not (piece.at_hand or is_cached(piece.first(size))):
            return 0
        # Because more follows, the head shares its packet with the file.
        sent = self.send_at_once(head, flags=_MORE_TO_COME)
        if sent == len(head):
            # If the client has no room, or sendfile cannot serve the file, ``send_file`` sends
            # the rest, and finds the cause.
            with suppress(OSError):
                target = self._socket.fileno()
                sent += os.sendfile(target, piece.descriptor, piece.offset, size)
        return sent

    async def _writable(self, patience: float, rate: float) -> None:
        if self._room is None:
            self._room = Room(self._socket, rate)
        try:
            await self._room.wait(patience)
        except trio.TooSlowError:
            raise ClientDisconnected("the client has stopped reading") from None

    async def send_file(self, piece: FileSlice, patience: float, rate: float = 0) -> None:
        rest = piece
        with _kept_short(self._socket):
            while rest:
                match await self._sendfile(rest):
                    case None:
                        send = partial(self.send, patience=patience, rate=rate)
                        return await send_pieces(rest, send)
                    case 0:
                        raise EOFError("the file became shorter while it was being sent")
                    case -1:
                        await self._writable(patience, rate)
                    case sent:
                        self.passed += sent
                        rest = rest.after(sent)
        return None

    async def _sendfile(self, piece: FileSlice) -> int | None:
        """Return how many bytes the kernel took: -1 without room, None if it cannot."""
        if not hasattr(os, "sendfile"):
            return None
        size = min(SENDFILE_PIECE, piece.length)
        send = partial(os.sendfile, offset=piece.offset, count=size)
        ends = self._socket.fileno(), piece.descriptor
        try:
            # A worker thread costs more than sending most files, but a disk read must not hold
            # up the other connections.
            if is_cached(piece.first(size)):
                await trio.lowlevel.checkpoint()
                return send(*ends)
            return await READS.run_with(ends, send)
        except trio.Cancelled:
            # The thread may still have a duplicate, with which the connection would stay open.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            raise
        except BlockingIOError:
            return -1
        except OSError:
            # sendfile cannot serve all files. Other errors do not say whether the file or the
            # client is at fault: reading and sending will.
            return None

    async def send_eof(self) -> bool:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise ClientDisconnected("the connection is broken") from error
        return True

    def abort(self) -> None:
        # With a linger time of zero, closing sends a reset. Windows packs the option as shorts.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        with suppress(OSError):  # macOS refuses options on a socket that was reset
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async def aclose(self) -> None:
        self._arrivals.close()
        self._socket.close()


@contextmanager
def _kept_short(connected: socket.socket) -> Iterator[None]:
    """Limit the bytes that wait in the kernel for a client on this machine.

    Otherwise they have left the processor's cache before the client reads them: a large file
    takes more than twice as long. Connections over a network have no limit, because the
    kernel sends them while the server is busy. The limit ends with the block.
    """
    is_near = _is_near(connected)
    if is_near:
        _limit_unsent(connected, NEAR_UNSENT)
    try:
        yield
    finally:
        if is_near:
            _limit_unsent(connected, 0)  # back to the system's default


def _is_near(connected: socket.socket) -> bool:
    with suppress(OSError):  # the client has left
        return bool(connected.getsockname()[:1] == connected.getpeername()[:1])
    return False


def _limit_unsent(connected: socket.socket, size: int) -> None:
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with suppress(OSError):  # not a TCP socket
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)
