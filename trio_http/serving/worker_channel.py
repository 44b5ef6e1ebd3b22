"""What a worker and the process that has started it tell each other, a byte at a time.

The end of either is the end of what the other hears, so neither has to look
whether the other is still there.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import trio

READY: Final = b"+"  # says a worker that is listening

# The orders that it is given then. That there will be no more means DRAIN.
RETIRE: Final = b"r"  # accept nobody, and end when those who are connected have been answered
DRAIN: Final = b"d"  # shut down
STOP: Final = b"s"  # end at once


class Channel:
    """One end of the connection between a worker and its parent."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._socket = trio.socket.from_stdlib_socket(end)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Both ends of a new one."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    @classmethod
    def take_over(cls, descriptor: int) -> Channel:
        """The end that this process was started with."""
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's own way to say it
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
        """What a process has to be started with to take this end over."""
        return self._end.fileno()

    def tell(self, word: bytes) -> None:
        """Tell the other one thing; it does no harm if there is no other any more."""
        with suppress(OSError):  # there is always room for a byte
            self._end.send(word)

    async def hear(self) -> bytes:
        """The next thing that the other tells, or nothing when there will be no more."""
        try:
            return await self._socket.recv(1)
        except OSError:  # it has ended without having heard all that it was told
            return b""
