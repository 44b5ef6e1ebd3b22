"""Pipes through which bytes go from a socket to a file without coming to Python.

The kernel moves pages into a pipe and out of it (``splice``, of Linux), so what
a client sends is copied once, into the file's pages. No more is asked of a pipe
than is known to be in it, and none is used for a second body.
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

# What everybody may have. A pipe that has its usual 64 KiB takes so many calls
# that bytes through Python are the quicker way.
ROOM = 1024 * 1024

# What a kernel says, or what watches over its calls, where it cannot do this
# between two descriptors.
_UNABLE = {errno.EINVAL, errno.ENOSYS, errno.EPERM}


class Pipe:
    """A pipe that is filled from one socket; ``held`` says how many bytes are in it.

    Whoever has opened it closes it. Neither end ever waits for the other.
    """

    __slots__ = ("_arrivals", "_poll", "_read_end", "_source", "_write_end", "has_room", "held")

    def __init__(self, ends: tuple[int, int], source: int, arrivals: Arrivals) -> None:
        self.held: int = 0
        self.has_room: bool = True
        """Whether more can be moved into it, as far as the last attempt has shown."""
        self._source = source
        self._arrivals = arrivals
        self._read_end, self._write_end = ends
        self._poll = select.poll()
        self._poll.register(self._write_end, select.POLLOUT)

    def fill(self, size: int) -> int | None:
        """Move in up to so many bytes of what the client has sent, and tell how many.

        0 at the end of input; None where it has sent no more, or nothing can be
        moved: then there is no ``has_room``.
        """
        moved = None
        try:
            moved = os.splice(self._source, self._write_end, size, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            # There is nothing, or no room for it. The latter comes early with small
            # packets: a pipe has so many places, and each packet takes one.
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
        """Copy in what has come to Python already, as ``fill`` moves what has not."""
        try:
            moved = os.write(self._write_end, data)
        except BlockingIOError:
            self.has_room = False
            return None
        self.held += moved
        return moved

    def empty_into(self, target: int) -> None:
        """Append all that it holds to a file; this waits where the disk does."""
        while self.held:
            self.held -= self._move_out(target)
        self.has_room = True

    def _move_out(self, target: int) -> int:
        try:
            return os.splice(self._read_end, target, self.held)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        # There are file systems, and files, that take bytes only.
        data = rest = memoryview(os.read(self._read_end, self.held))
        while rest:
            rest = rest[os.write(target, rest) :]
        return len(data)

    def close(self) -> None:
        """Let go of it, and of what it still holds."""
        os.close(self._read_end)
        os.close(self._write_end)


def open_pipe(source: int, arrivals: Arrivals) -> Pipe | None:
    """A pipe with much room, or None where there is none to be had."""
    if fcntl is None or not CAN_SPLICE:
        return None
    try:
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # too many descriptors
        return None
    pipe = Pipe(ends, source, arrivals)
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, ROOM)
    except OSError:  # a user without privileges has 64 MiB of them
        pipe.close()
        return None
    return pipe
