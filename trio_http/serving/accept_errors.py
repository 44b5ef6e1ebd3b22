"""Recovery of a listener whose ``accept`` fails: in most cases it continues."""

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

# Out of descriptors or memory. Trio's own ``serve_listeners`` then retries every tenth of a
# second, and logs each failure.
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}

# Errors with which accept() reports a socket that will never accept. Any other error is caused
# by one client or by the network, and the next call may succeed.
_NOT_LISTENING = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP}

# Failures in a row after which the cause is no longer a single client.
MANY = 64

# Seconds until the next attempt if no connection ends. Files and other processes release
# descriptors, too, without any notification.
RETRY = 1

# Seconds of failed attempts after which clients are turned away. A client that waits longer may
# have left already, and a balancer can choose another server.
GIVE_UP = 10


class Spare:
    """A descriptor in reserve, with which clients can be turned away when no other is free.

    Only an accepted connection can be closed, and accepting needs a descriptor.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):  # no descriptor is free
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
        with suppress(OSError):  # no client is waiting, or another thread was quicker
            for _ in range(MANY):
                listening.accept()[0].close()
        self.__enter__()


class Recovery:
    """Continues after failures of one listener, whose clients wait at ``queue``, if known."""

    def __init__(self, slots: ConnectionSlots, spare: Spare, queue: socket.socket | None) -> None:
        self._slots = slots
        self._spare = spare
        self._queue = queue
        self._failures = 0  # in a row
        self._since = 0.0  # time of the first of them
        self._closes_at = 0.0  # time from which the next idle connection may be closed

    def accepted(self) -> None:
        """Note that a client was accepted."""
        self._failures = 0

    async def failed(self, error: OSError | trio.BrokenResourceError) -> None:
        """Return when it makes sense to accept again; raise ``error`` if it never will.

        If resources run out, idle connections are closed to free some. If that does not help,
        clients are turned away after ``GIVE_UP`` seconds.
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
                # Other tasks may have taken the descriptor that the last connection released, and
                # its end woke this task at once. Without a pause, all idle ones would be closed.
                self._closes_at = now + RETRY
                await keep_alive.make_room(self._since)
        if self._queue is not None and self._since + GIVE_UP <= trio.current_time():
            self._spare.turn_away(self._queue)
