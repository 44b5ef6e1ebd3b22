"""The meaning of signals before a server can drain, and after it has."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process on SIGINT and SIGTERM, unless something else handles them.

    The first process of a container is not ended by signals without a handler: a signal
    that arrives while the program is loading would be lost, and the container would be
    killed after a while. Python's own handler for SIGINT raises ``KeyboardInterrupt``, which
    ends an import in a traceback or, within a callback, does not end it at all.

    ``trio.open_signal_receiver`` replaces these handlers one by one. When it restores them,
    it raises the signals that nobody has received, so no signal is lost.
    """
    with _handling({signal.SIGINT: _end, signal.SIGTERM: _end}):
        yield


@contextmanager
def outliving_hangups() -> Iterator[None]:
    """Ignore SIGHUP, unless something else handles it.

    It tells a parent to replace its workers, and means nothing to them, so it must not end a
    process that is still starting. The SIGHUP of a terminal that is closed still ends it.
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
    """End the process by the signal itself, as shells and service managers expect."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container is still there
