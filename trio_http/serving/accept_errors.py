"""What becomes of a listener whose ``accept`` fails: in most cases it goes on."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

import trio

from trio_http.http1.server_events import NotAccepting
from trio_http.serving.connection_slots import ConnectionSlots

# Out of descriptors or memory. Trio's own ``serve_listeners`` sleeps for a tenth of a
# second then, and again, and tells of each time.
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}

# What accept() says of a socket that will never accept; any other error of its
# is of one client's making, or the network's, and gone with it.
_NOT_LISTENING = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP}

# From that many failures in a row on, it is not the clients that fail.
MANY = 64

# Seconds until the next attempt where no connection ends. Files and other processes give
# back descriptors, too, and nothing tells of that.
RETRY = 1

# Seconds of failed attempts after which clients are turned away. A client that waits
# for longer may not be there any more, and a balancer knows another server.
GIVE_UP = 10


class Spare:
    """A descriptor that is kept so that clients can be turned away when there are no others.

    Only an accepted connection can be closed, and to accept it takes a descriptor.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):  # there is none any more, or not yet
            self._descriptor = os.open(os.devnull, os.O_RDONLY)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def turn_away(self, listening: socket.socket) -> None:
        """Close the connections of clients that are waiting to be accepted."""
        self.__exit__(None, None, None)
        with suppress(OSError):  # nobody is waiting, or another thread was quicker
            for _ in range(MANY):
                listening.accept()[0].close()
        self.__enter__()


class Recovery:
    """How one listener goes on after failures; ``queue`` is where its clients wait, if known."""

    def __init__(self, slots: ConnectionSlots, spare: Spare, queue: socket.socket | None) -> None:
        self._slots = slots
        self._spare = spare
        self._queue = queue
        self._failures = 0  # in a row
        self._since = 0.0  # when the first of them was
        self._closes_at = 0.0  # when an idle connection may be closed for the next

    def accepted(self) -> None:
        """Note that a client was accepted."""
        self._failures = 0

    async def failed(self, error: OSError | trio.BrokenResourceError) -> None:
        """Return when it makes sense to accept again; raise ``error`` if that is never.

        Where resources are lacking, idle connections make room. Nobody knows how
        long other lacks last, so clients are turned away in the end.
        """
        number = error.errno if isinstance(error, OSError) else None
        if number in _NOT_LISTENING:
            raise error
        now = trio.current_time()
        if not self._failures:
            self._since = self._closes_at = now
        self._failures += 1
        if number in _OUT_OF_RESOURCES:
            self._slots.tell(NotAccepting(error))
            await self._wait_for_resources(now)
        elif self._failures < MANY:
            await trio.lowlevel.checkpoint()
        else:
            self._slots.tell(NotAccepting(error))
            await trio.sleep(RETRY)

    async def _wait_for_resources(self, now: float) -> None:
        keep_alive = self._slots.keep_alive
        with trio.move_on_after(RETRY):
            if now < self._closes_at:
                await keep_alive.wait_for_room()
            else:
                # Others may have taken what the last one gave back, and its end told us of
                # it at once: with no time in between, all idle connections would go.
                self._closes_at = now + RETRY
                await keep_alive.make_room(self._since)
        if self._queue is not None and self._since + GIVE_UP <= trio.current_time():
            self._spare.turn_away(self._queue)
