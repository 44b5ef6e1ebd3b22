"""What signals mean before there is a server that could drain, and after it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process by SIGINT and SIGTERM, wherever nobody else listens for these.

    A container's first process is not ended by signals that it has no handler for: one
    that comes while the program still loads would be lost, and the container be killed
    after a while. Python's own handler for SIGINT raises ``KeyboardInterrupt``: imports
    then end in a traceback or, where a callback was running, do not end.

    ``trio.open_signal_receiver`` puts its handlers in the place of these, one by one,
    and raises what it has not passed on when it puts them back. So no signal is lost.
    """
    with _handling({signal.SIGINT: _end, signal.SIGTERM: _end}):
        yield


@contextmanager
def outliving_hangups() -> Iterator[None]:
    """Let SIGHUP do nothing, wherever nobody else listens for it.

    It tells a parent to renew its workers, and means nothing to them. So it must not end
    those that are starting. A terminal that goes away still does.
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
    """End as by the signal, which is what shells and service managers expect to see."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)  # the first process of a container is still there
