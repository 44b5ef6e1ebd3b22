"""The access log: one line for each event of a server."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

import trio

from trio_http.http1.server_events import (
    Connected,
    Crowded,
    Disconnected,
    Ending,
    Failure,
    NotAccepting,
    Record,
    Report,
    ServerEvent,
)
from trio_http.serving.workers import Ended, Listening, NotStarted, Renewed, WorkerEvent


class Level(IntEnum):
    """The severity of a line; each level includes those after it."""

    INFO = 20  # each connection and each exchange
    WARNING = 30  # exchanges that the server broke off
    ERROR = 40  # errors in the program


# Up to Python 3.11, looking up a member of an enumeration costs as much as ten comparisons.
_INFO = Level.INFO
_COMPLETE = Ending.COMPLETE
_BROKEN_OFF = (Ending.ABORTED, Ending.CANCELLED)


@lru_cache(maxsize=2)
def _clock_at(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


# Many lines are written within one millisecond.
@lru_cache(maxsize=2)
def _stamp_at(millisecond: int, level: Level) -> str:
    second, thousandth = divmod(millisecond, 1000)
    return f"{_clock_at(second)}.{thousandth:03} {level.name:<7}"


def line_of_loss(lines: int) -> str:
    """Return the line that reports lines that could not be written."""
    stamp = _stamp_at(int(time.time() * 1000), Level.WARNING)
    return f"{stamp} {lines} log line{'s were' if lines > 1 else ' was'} lost\n"


class Output(Protocol):
    """The destination of the log's lines."""

    def write(self, text: str, /) -> object:
        """Accept whole lines, without waiting or failing, as ``Spool`` does."""
        ...


class Log:
    """Writes lines with a time and a level, at once or with ``gathering``."""

    def __init__(
        self, output: Output, level: Level, clock: Callable[[], float] = time.time
    ) -> None:
        self._output = output
        self.level: Level = level
        self._clock = clock
        self._lines: list[str] = []
        self._gathers = False

    def write(self, level: Level, text: str) -> None:
        """Write one or more lines, if this level is enabled."""
        if level < self.level:
            return
        stamp = _stamp_at(int(self._clock() * 1000), level)
        self._lines.append(f"{stamp} {text}\n")
        if level > _INFO or not self._gathers:
            self.flush()

    def flush(self) -> None:
        """Write the gathered lines."""
        if self._lines:
            text = "".join(self._lines)
            self._lines.clear()
            self._output.write(text)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Write ordinary lines together, each time before this run of Trio waits.

        When many connections are served in one turn, each writes a line, and every system call
        would cost as much as the line itself.
        """
        if self.level > Level.INFO:
            yield
            return
        turns = _Turns(self.flush)
        trio.lowlevel.add_instrument(turns)
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            trio.lowlevel.remove_instrument(turns)
            self.flush()


class _Turns(trio.abc.Instrument):
    """Calls a function at the end of each of Trio's turns."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio passes it
        self._do()


def log_to(log: Log) -> Report:
    """Return a report that writes every event as a line; failures with their traceback."""

    def report(event: ServerEvent) -> None:
        # Most lines have the lowest level: if that is disabled, none of them is built.
        level = level_of(event)
        if level >= log.level:
            log.write(level, text_of(event))

    return report


def level_of(event: ServerEvent) -> Level:
    """Return the level of an event."""
    match event:
        case Record():
            return Level.WARNING if event.ending in _BROKEN_OFF else _INFO
        case Failure():
            return Level.ERROR
        case Crowded() | NotAccepting():
            return Level.WARNING
        case _:
            return Level.INFO


def text_of(event: ServerEvent) -> str:
    """Return the text of an event, without time and level."""
    match event:
        case Connected():
            return f"[CONNECTED] {event.client}"
        case Disconnected():
            return f"[DISCONNECTED] {event.client}"
        case Record():
            return _record_line(event)
        case Crowded():
            return (
                f"[SERVER FULL] {event.connections} connections (--connections): "
                "new clients take the place of idle ones, or wait"
            )
        case NotAccepting():
            return (
                f"[NOT ACCEPTING] {event.error}: new clients take the place of idle ones, or wait"
            )
        case _:  # a Failure
            line = f"[ERROR for {event.client}] {printable(event.line)}".rstrip()
            return f"{line}\n{_trace_of(event.error)}"


def _record_line(record: Record) -> str:
    ending = "" if record.ending is _COMPLETE else f", {record.ending.value}"
    return (
        f"[RECEIVED from {record.client}] {printable(record.line)} -> "
        f"{record.status or 'no response'}, {record.sent} bytes, "
        f"{record.seconds * 1000:.1f} ms{ending}"
    )


def _trace_of(error: BaseException) -> str:
    """Return the traceback, indented.

    An error's text may contain what a client has sent. Indented, it cannot be mistaken for a
    line of the log, whatever it contains.
    """
    trace = "".join(traceback.format_exception(error))
    return "\n".join(f"  {escaped(line)}" for line in trace.rstrip().split("\n"))


def line_of_failure(error: BaseException) -> tuple[Level, str]:
    """Return the level and the text for a failure of the server itself."""
    reason = escaped(f"{type(error).__name__}: {error}")
    return Level.ERROR, f"[SERVER FAILED] {reason}\n{_trace_of(error)}"


def line_of_worker(event: WorkerEvent) -> tuple[Level, str]:
    """Return the level and the text for an event of a worker."""
    match event:
        case Listening():
            return Level.INFO, f"[WORKER {event.worker}] pid {event.pid} is listening"
        case Ended(status=0, pause=None):
            return Level.INFO, f"[WORKER {event.worker}] pid {event.pid} has ended"
        case Ended():
            text = f"pid {event.pid} {_manner(event.status)}{_again(event.pause)}"
            return Level.ERROR, f"[WORKER {event.worker}] {text}"
        case NotStarted():
            text = f"could not be started: {event.error.strerror}{_again(event.pause)}"
            return Level.ERROR, f"[WORKER {event.worker}] {text}"
        case Renewed(failed=None):
            return Level.INFO, "[SERVER RENEWED]"
        case _:
            text = f"worker {event.failed} could not be replaced; all running workers stay"
            return Level.ERROR, f"[SERVER NOT RENEWED] {text}"


def _manner(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"


def _again(pause: float | None) -> str:
    match pause:
        case None:
            return ""
        case 0:
            return "; restarting now"
        case _:
            return f"; restarting in {pause:.0f} s"


def printable(raw: bytes) -> str:
    """Return bytes from a client as one line that cannot control a terminal."""
    return escaped(raw.decode("ascii", "backslashreplace"))


def escaped(text: str) -> str:
    """Return a text with everything escaped that could control a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
