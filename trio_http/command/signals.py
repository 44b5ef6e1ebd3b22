"""Signal handlers for the time before the server starts and after it has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process on SIGINT and SIGTERM, until other handlers replace these.

    In the first process of a container, signals without a handler have no effect. A signal
    that arrives while the program is loading would be lost, and the container would be killed
    after a while. Python's own handler of SIGINT raises ``KeyboardInterrupt``, which ends an
    import with a traceback or, inside a callback, does not end it.

    ``trio.open_signal_receiver`` replaces these handlers. When it restores them, it raises the
    signals again that were not received, so no signal is lost.
    """
    with _handling({signal.SIGINT: _end, signal.SIGTERM: _end}):
        yield


@contextmanager
def outliving_hangups() -> Iterator[None]:
    """Ignore SIGHUP, until another handler replaces this one.

    SIGHUP tells the parent to replace its workers, so it must not end a process that is still
    starting. Closing the terminal also sends SIGHUP, which still ends the process.
    """
    had_terminal = os.isatty(2)

    def hang_up(number: int, frame: FrameType | None) -> None:
        if had_terminal != os.isatty(2):
            _end(number, frame)

    with _handling({signal.SIGHUP: hang_up} if hasattr(signal, "SIGHUP") else {}):
        yield


@contextmanager
def _handling(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    """End the process with the signal itself, as shells and service managers expect."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the signal does not end the first process of a container
