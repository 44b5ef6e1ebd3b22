"""Pipes through which bytes move from a socket to a file without passing through Python.

Linux's ``splice`` moves pages into and out of a pipe, so the client's bytes are copied once,
into the pages of the file. No more is read from a pipe than it is known to hold, and no pipe is
used for a second body.
"""

from __future__ import annotations

import errno
import os
import select
from types import ModuleType

from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport.readiness import Arrivals

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

CAN_SPLICE = hasattr(os, "splice") and hasattr(fcntl, "F_SETPIPE_SZ")

# The size that any user may choose. With the usual pipe of 64 KiB, the calls take longer than
# passing the bytes through Python.
ROOM = 1024 * 1024

# Errors of a kernel or a system call filter that cannot splice between two descriptors.
_UNABLE = {errno.EINVAL, errno.ENOSYS, errno.EPERM}


class Pipe:
    """A pipe that is filled from one socket and holds ``held`` bytes.

    The caller that opened it closes it. Neither end ever blocks.
    """

    __slots__ = ("_arrivals", "_poll", "_read_end", "_source", "_write_end", "has_room", "held")

    def __init__(self, ends: tuple[int, int], source: int, arrivals: Arrivals) -> None:
        self.held: int = 0
        self.has_room: bool = True
        """Whether more bytes fit, as far as the last attempt has shown."""
        self._source = source
        self._arrivals = arrivals
        self._read_end, self._write_end = ends
        self._poll = select.poll()
        self._poll.register(self._write_end, select.POLLOUT)

    def fill(self, size: int) -> int | None:
        """Move in up to ``size`` bytes from the client, and return their number.

        0 at the end of input. None if nothing has arrived, or if nothing can be moved: then
        ``has_room`` is false.
        """
        moved = None
        try:
            moved = os.splice(self._source, self._write_end, size, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            # Nothing has arrived, or the pipe is full. Small packets fill it early: a pipe has
            # a fixed number of slots, and each packet takes one.
            self.has_room = bool(self._poll.poll(0))
        except OSError as error:
            if error.errno not in _UNABLE:
                raise ClientDisconnected("the connection is broken") from error
            self.has_room = False
        if moved == size or not self.has_room:
            self._arrivals.leave_some()
        self.held += moved or 0
        return moved

    def put(self, data: bytes | bytearray) -> int | None:
        """Copy in bytes that have been received already; return as ``fill`` does."""
        try:
            moved = os.write(self._write_end, data)
        except BlockingIOError:
            self.has_room = False
            return None
        self.held += moved
        return moved

    def empty_into(self, target: int) -> None:
        """Append all bytes that it holds to a file; blocks while the disk works."""
        while self.held:
            self.held -= self._move_out(target)
        self.has_room = True

    def _move_out(self, target: int) -> int:
        try:
            return os.splice(self._read_end, target, self.held)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        # Some file systems and files do not support splice.
        data = rest = memoryview(os.read(self._read_end, self.held))
        while rest:
            rest = rest[os.write(target, rest) :]
        return len(data)

    def close(self) -> None:
        """Close both ends, and discard the bytes in between."""
        os.close(self._read_end)
        os.close(self._write_end)


def open_pipe(source: int, arrivals: Arrivals) -> Pipe | None:
    """Return a pipe with room for ``ROOM`` bytes, or None if that is impossible."""
    if fcntl is None or not CAN_SPLICE:
        return None
    try:
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # too many descriptors
        return None
    pipe = Pipe(ends, source, arrivals)
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, ROOM)
    except OSError:  # a user without privileges may have 64 MiB in pipes
        pipe.close()
        return None
    return pipe
