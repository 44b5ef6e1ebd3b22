"""Messages between a worker and its parent process, one byte each.

When either process ends, the other reads the end of input, so neither has to check that the
other is still alive.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import trio

READY: Final = b"+"  # from a worker that is listening

# Orders to a worker. The end of input means DRAIN.
RETIRE: Final = b"r"  # accept no more, and end after one last response to each client
DRAIN: Final = b"d"  # shut down
STOP: Final = b"s"  # end at once


class Channel:
    """One end of the connection between a worker and its parent."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._socket = trio.socket.from_stdlib_socket(end)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return both ends of a new channel."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    @classmethod
    def take_over(cls, descriptor: int) -> Channel:
        """Return the end that this process has inherited."""
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's own signature
        return cls(socket.socket(fileno=descriptor))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    @property
    def descriptor(self) -> int:
        """The descriptor that a process must inherit to take over this end."""
        return self._end.fileno()

    def tell(self, word: bytes) -> None:
        """Send one message; do nothing if the other process has ended."""
        with suppress(OSError):  # a byte always fits
            self._end.send(word)

    async def hear(self) -> bytes:
        """Return the next message, or nothing if there will be no more."""
        try:
            return await self._socket.recv(1)
        except OSError:  # the other process ended without reading everything
            return b""
