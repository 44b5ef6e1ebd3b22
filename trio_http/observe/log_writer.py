"""Text on its way to a stream that may be slow, stuck, full, closed or absent.

A write to a terminal that was stopped (Ctrl-S), or to a full pipe, waits until somebody
reads. A server that waits for its log serves nobody, so a thread does that waiting.
"""

# The thread works with anything, but costs a third of the processor time of a request,
# and halves the rate of a client that asks alone. So it has only what cannot be written
# at once. Regular files take everything at once. Pipes and terminals can be opened anew
# on Linux, with O_NONBLOCK, which belongs to the open file: set for the one that there
# is, it would be set for the shell and all others that share it. Sockets, and pipes of
# other users, cannot be opened. poll() was no help: it tells what holds now, and where
# workers share a pipe, another one fills it between poll() and write().

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

# Bytes that may wait: about a second of the access log of a busy server.
CAPACITY = 4 * 1024 * 1024

# Bytes that a pipe takes whole or not at all (PIPE_BUF on Linux), so that lines of
# workers that share it are not mixed.
AT_ONCE = 4096

# Seconds that the end of the program may be put off by a stream that takes nothing.
PATIENCE = 1


_ANEW = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class _Sink(Protocol):
    """A raw stream: it takes at least a part, or returns None where it must not block."""

    def write(self, data: bytes, /) -> int | None: ...

    def fileno(self) -> int: ...


class Spool:
    """Writes text to a stream in its order; it never blocks and never raises.

    At most ``CAPACITY`` bytes wait. Text beyond that is lost, and so is what the
    stream refuses. When the stream takes text again, that begins with ``notice(lines)``.

    Args:
      stream: where the text goes, or None, which takes anything to nowhere. It is not
        closed. Its own buffer is passed by: a thread that waits inside of that would
        hold a lock that Python needs at its end.
      notice: what is written instead of so many lines that were lost.
      capacity: how many bytes may wait.

    Leaving the context waits at most ``PATIENCE`` seconds for text that has not been
    written yet.
    """

    def __init__(
        self, stream: TextIO | None, notice: Callable[[int], str], capacity: int = CAPACITY
    ) -> None:
        self._sink = _sink_of(stream)
        self._is_regular = _is_regular(self._sink)
        self._prompt: io.FileIO | None = None
        self._notice = notice
        self._capacity = capacity
        # Each item is the lines that were lost before it, and data; None is the end.
        self._items: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="log", daemon=True)
        # The first two are written by whoever calls. The others are the thread's, until
        # it has finished all that was accepted. So nothing has to be locked.
        self._accepted = self._refused = 0
        self._finished = self._missing = 0
        self._torn = False

    def __enter__(self) -> Self:
        if not self._is_regular:
            self._prompt = _opened_anew(self._sink)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_regular:
            self._put_down(0, b"")
            return
        self._items.put((self._refused, b""))
        self._items.put(None)
        self._thread.join(PATIENCE)
        if self._prompt is not None:
            self._prompt.close()

    def write(self, text: str) -> None:
        """Pass on a text of whole lines."""
        data = text.encode("utf-8", "backslashreplace")
        if self._is_regular:
            self._put_down(0, data)
            return
        data = self._rest_of(data)
        if self._accepted - self._finished >= self._capacity:
            self._refused += data.count(b"\n")
        elif data:
            self._accepted += len(data)
            self._items.put((self._refused, data))
            self._refused = 0

    def _rest_of(self, data: bytes) -> bytes:
        """Write what can be written at once; return the rest, which is for the thread."""
        waits = self._accepted != self._finished or self._refused or self._missing
        if self._prompt is None or waits or len(data) > AT_ONCE:
            return data
        try:
            return data[self._prompt.write(data) or 0 :]
        except OSError:  # the thread will meet it, too, and count what is lost
            return data

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            refused, data = item
            self._put_down(refused, data)
            self._finished += len(data)

    def _put_down(self, refused: int, data: bytes) -> None:
        """Write data, after a notice if lines before it were lost."""
        self._missing += refused
        if self._missing and not self._lines_lost_of(self._notice(self._missing).encode()):
            self._missing = 0
        self._missing += self._lines_lost_of(data)

    def _lines_lost_of(self, lines: bytes) -> int:
        """Write lines as far as possible; return the number of those that are not there."""
        # A line that was begun before the disk was full must not run into the next.
        data = b"\n" + lines if self._torn else lines
        written = _write(self._sink, data)
        if written == len(data):
            self._torn = False
            return 0
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        return min(data.count(b"\n", written), lines.count(b"\n"))


def _write(sink: _Sink, data: bytes) -> int:
    """Write as much as the sink takes, however long that takes; the number of bytes."""
    written = 0
    try:
        while written < len(data):
            count = sink.write(data[written:])
            if count is None:  # somebody who shares it has set O_NONBLOCK
                select.select([], [sink.fileno()], [])
            else:
                written += count
    except (OSError, ValueError):  # a full disk, no reader, a closed stream: the rest is lost
        return written
    return written


class _Nowhere(io.RawIOBase):
    def write(self, data: Any, /) -> int:
        return len(data)


class _TextOnly(io.RawIOBase):
    """A stream without bytes below it, such as ``io.StringIO``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: Any, /) -> int:
        self._stream.write(data.decode())
        self._stream.flush()
        return len(data)


def _sink_of(stream: TextIO | None) -> _Sink:
    if stream is None:
        return _Nowhere()
    buffer: io.BufferedWriter | None = getattr(stream, "buffer", None)
    if buffer is None:
        return _TextOnly(stream)
    return getattr(buffer, "raw", buffer)  # unbuffered streams (python -u) have no more below


def _is_regular(sink: _Sink) -> bool:
    try:
        return stat.S_ISREG(os.fstat(sink.fileno()).st_mode)
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return False


def _opened_anew(sink: _Sink) -> io.FileIO | None:
    """Open the pipe or terminal once more, so that to write to it never waits; or None."""
    try:
        descriptor = os.open(f"/proc/self/fd/{sink.fileno()}", _ANEW)
    except (OSError, ValueError):
        return None
    return io.FileIO(descriptor, "w")
