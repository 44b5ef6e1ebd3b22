"""Waits until a client has room for more bytes, as long as it reads.

The kernel reports room once a third of a socket's send buffer is free. That buffer can have
2.5 MiB, of which a client that reads 2 KiB per second frees a third in seven minutes: readiness
says nothing of a slow client. But the kernel knows how many bytes the client has not
acknowledged yet. A client for which this number falls is reading.

It falls in steps, because a client's kernel announces room only for a whole segment, or when
its buffer is empty: for up to 128 KiB on one machine, and for less on most networks.
"""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Protocol

import trio

from trio_http.semantics.pace import Pace

fcntl: ModuleType | None
try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows
    fcntl = None

# How often the kernel is asked within a timeout. A wait that is shorter than the first part is
# no sign of a slow client, and costs nothing more than itself.
LOOKS = 8


class Socket(Protocol):
    """A socket of the standard library or of Trio."""

    def fileno(self) -> int:
        """Return the file descriptor."""
        ...


def unacknowledged(connected: Socket) -> int | None:
    """Return how many sent bytes the client has not acknowledged; None where that is unknown.

    Linux can, for TCP (``SIOCOUTQ``, which has the value of ``TIOCOUTQ``). Of a local socket it
    returns the memory that they take.
    """
    if fcntl is None:
        return None
    try:
        answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(struct.calcsize("i")))
    except OSError:  # another system, or another kind of socket
        return None
    return int(struct.unpack("i", answer)[0])


class Room:
    """The room of one socket, and how far its client is behind ``rate`` bytes per second."""

    __slots__ = ("_pace", "_socket")

    def __init__(self, connected: Socket, rate: float) -> None:
        self._socket = connected
        self._pace = Pace(rate)

    async def wait(self, patience: float) -> None:
        """Return once the socket has room.

        Raises:
            trio.TooSlowError: the client is ``patience`` seconds behind the minimum rate, as it
                is after that time without any progress.
        """
        with trio.move_on_after(patience / LOOKS):
            await trio.lowlevel.wait_writable(self._socket)
            self._pace.lag = 0  # a third of the buffer, in so short a time
            return
        await self.wait_on(patience)

    def take(self, size: int) -> None:
        """Count bytes that the socket took without a slow wait, to the client's credit."""
        self._pace.move(size)

    async def wait_on(self, patience: float) -> None:
        """Return once the socket has room, after a first wait for it without success.

        The first wait must have lasted for one of the ``LOOKS`` parts of ``patience``.
        """
        pace = self._pace
        pace.wait(patience / LOOKS)
        before = unacknowledged(self._socket)
        while pace.lag < patience:
            began = trio.current_time()
            has_room = False
            with trio.move_on_after(patience / LOOKS):
                await trio.lowlevel.wait_writable(self._socket)
                has_room = True
            pace.wait(trio.current_time() - began)
            after = unacknowledged(self._socket)
            if before is not None and after is not None:
                pace.move(before - after)
                before = after
            elif has_room:
                pace.lag = 0  # that is all that is known
            if has_room:
                return
        raise trio.TooSlowError
