"""Text on its way to a stream that may be slow, stuck, full, closed or absent.

A write to a terminal that was stopped (Ctrl-S), or to a full pipe, waits until somebody
reads. A server that waits for its log serves nobody, so a thread does that waiting.
"""

# What else was considered. O_NONBLOCK belongs to the open file, not to the descriptor:
# it would also be set for the shell and all others that share the terminal. poll()
# tells what holds now: where several workers share a pipe, another one fills it
# between poll() and write(). To open /proc/self/fd/2 anew, without blocking, is possible
# on Linux alone, neither for sockets nor for pipes of other users, and in a regular
# file it loses the position that is shared. The thread works with anything, and with
# 64 busy clients it costs no more than writing in place (0.95 of the processor time
# per request to a pipe, 0.97 to a file).

from __future__ import annotations

import io
import select
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

# Characters that may wait: about a second of the access log of a busy server.
CAPACITY = 4 * 1024 * 1024

# Seconds that the end of the program may be put off by a stream that takes nothing.
PATIENCE = 1


class _Sink(Protocol):
    """A raw stream: it takes at least a part, or returns None where it must not block."""

    def write(self, data: bytes, /) -> int | None: ...

    def fileno(self) -> int: ...


class Spool:
    """Writes text to a stream in its order; it never blocks and never raises.

    At most ``CAPACITY`` characters wait. Text beyond that is lost, and so is what the
    stream refuses. When the stream takes text again, that begins with ``notice(lines)``.

    Args:
      stream: where the text goes, or None, which takes anything to nowhere. It is not
        closed. Its own buffer is passed by: a thread that waits inside of that would
        hold a lock that Python needs at its end.
      notice: what is written instead of so many lines that were lost.
      capacity: how many characters may wait.

    Leaving the context waits at most ``PATIENCE`` seconds for text that has not been
    written yet.
    """

    def __init__(
        self, stream: TextIO | None, notice: Callable[[int], str], capacity: int = CAPACITY
    ) -> None:
        self._sink = _sink_of(stream)
        self._notice = notice
        self._capacity = capacity
        # Each item is the lines that were lost before it, and a text; None is the end.
        self._items: SimpleQueue[tuple[int, str] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="log", daemon=True)
        # The first two are written by whoever calls, the others by the thread. So
        # nothing has to be locked.
        self._accepted = self._refused = 0
        self._finished = self._missing = 0
        self._torn = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._items.put((self._refused, ""))
        self._items.put(None)
        self._thread.join(PATIENCE)

    def write(self, text: str) -> None:
        """Pass on a text of whole lines."""
        if self._accepted - self._finished >= self._capacity:
            self._refused += text.count("\n")
            return
        self._accepted += len(text)
        self._items.put((self._refused, text))
        self._refused = 0

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            refused, text = item
            self._missing += refused
            if self._missing and not self._lines_lost_of(self._notice(self._missing)):
                self._missing = 0
            self._missing += self._lines_lost_of(text)
            self._finished += len(text)

    def _lines_lost_of(self, text: str) -> int:
        """Write a text as far as possible; the number of its lines that are not there."""
        # A line that was begun before the disk was full must not run into the next.
        data = ("\n" * self._torn + text).encode("utf-8", "backslashreplace")
        written = _write(self._sink, data)
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        return min(data.count(b"\n", written), text.count("\n"))


def _write(sink: _Sink, data: bytes) -> int:
    """Write as much as the sink takes, however long that takes; the number of bytes."""
    written = 0
    with suppress(OSError, ValueError):  # a full disk, no reader, a closed stream
        while written < len(data):
            count = sink.write(data[written:])
            if count is None:  # somebody who shares it has set O_NONBLOCK
                select.select([], [sink.fileno()], [])
            else:
                written += count
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
