"""Writes text to a stream that may be slow, stuck, full, closed or absent.

A write to a stopped terminal (Ctrl-S) or a full pipe blocks until something is read. A server
that waits for its log serves no clients, so a thread waits instead.
"""

# The thread works with any stream, but costs a third of the processor time of a request, and
# halves the rate of a single client. So it gets only what cannot be written at once. Regular
# files take everything at once. Pipes and terminals can be reopened on Linux, with O_NONBLOCK.
# That flag belongs to the open file: set on the existing one, it would affect the shell and all
# others that share it. Sockets, and pipes of other users, cannot be reopened. poll() did not
# help: it reports the present state, and if workers share a pipe, another worker can fill it
# between poll() and write().

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

# Bytes that a pipe takes completely or not at all (PIPE_BUF on Linux), so that the lines of
# workers that share it are not mixed.
AT_ONCE = 4096

# Maximum seconds for which a blocked stream may delay the end of the program.
PATIENCE = 1


_ANEW = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class _Sink(Protocol):
    """A raw stream: takes at least a part, or returns None if writing would block."""

    def write(self, data: bytes, /) -> int | None: ...

    def fileno(self) -> int: ...


class Spool:
    """Writes text to a stream in order; never blocks and never raises.

    At most ``capacity`` bytes wait. Text beyond that is lost, and so is text that the stream
    refuses. When the stream takes text again, ``notice(lines)`` is written first.

    Leaving the context waits at most ``PATIENCE`` seconds for text that has not been written yet.

    Args:
        stream: receives the text, or None to discard it. It is not closed. Its own buffer is
            bypassed: a thread that blocks inside the buffer would hold a lock that Python needs
            when it exits.
        notice: returns the text that replaces this number of lost lines.
        capacity: maximum bytes that wait.
    """

    def __init__(
        self, stream: TextIO | None, notice: Callable[[int], str], capacity: int = CAPACITY
    ) -> None:
        self._sink = _sink_of(stream)
        self._is_regular = _is_regular(self._sink)
        self._prompt: io.FileIO | None = None
        self._notice = notice
        self._capacity = capacity
        # Each item is the number of lines lost before it, and data; None is the end.
        self._items: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="log", daemon=True)
        # The caller of ``write`` writes the first two. The others belong to the thread until it
        # has finished everything that was accepted. So no lock is needed.
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
        """Write a text of whole lines."""
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
        """Write what can be written at once; return the rest, for the thread."""
        waits = self._accepted != self._finished or self._refused or self._missing
        if self._prompt is None or waits or len(data) > AT_ONCE:
            return data
        try:
            return data[self._prompt.write(data) or 0 :]
        except OSError:  # the thread will see the same error, and count the lost lines
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
        """Write lines as far as possible; return the number of lines that were lost."""
        # A line that was cut when the disk became full must not run into the next one.
        data = b"\n" + lines if self._torn else lines
        written = _write(self._sink, data)
        if written == len(data):
            self._torn = False
            return 0
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        return min(data.count(b"\n", written), lines.count(b"\n"))


def _write(sink: _Sink, data: bytes) -> int:
    """Write as much as the sink takes, however long that takes; return the number of bytes."""
    written = 0
    try:
        while written < len(data):
            count = sink.write(data[written:])
            if count is None:  # another process that shares it has set O_NONBLOCK
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
    """A stream without an underlying byte stream, such as ``io.StringIO``."""

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
    return getattr(buffer, "raw", buffer)  # unbuffered streams (python -u) have no raw stream


def _is_regular(sink: _Sink) -> bool:
    try:
        return stat.S_ISREG(os.fstat(sink.fileno()).st_mode)
    except (OSError, ValueError):  # it has no descriptor, or is closed
        return False


def _opened_anew(sink: _Sink) -> io.FileIO | None:
    """Reopen a pipe or terminal so that writing never blocks, or return None."""
    try:
        descriptor = os.open(f"/proc/self/fd/{sink.fileno()}", _ANEW)
    except (OSError, ValueError):
        return None
    return io.FileIO(descriptor, "w")
