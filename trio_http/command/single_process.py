"""Serves in this process until a signal ends it."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import trio

from trio_http.command.urls import listening_line
from trio_http.command.wrong_use import WrongUseError
from trio_http.http1.app_lifetime import Servable, unwrapping
from trio_http.observe.access_log import Level, Log, line_of_failure, log_to
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.descriptors import descriptor_limit, fit_to_descriptors
from trio_http.serving.listeners import open_listeners
from trio_http.serving.server import Server, serve


@dataclass(frozen=True, slots=True)
class Conditions:
    """The timeouts, limits and optional behavior of a server."""

    timeouts: Timeouts
    limits: Limits
    behavior: Behavior = Behavior()  # noqa: RUF009 - a frozen value


async def serve_until_signal(
    app: Servable, binds: Sequence[str], conditions: Conditions, log: Log
) -> int:
    """Serve until SIGINT or SIGTERM: the first signal drains, the second one stops at once.

    While the lifetime of the app is starting, the first signal stops it at once.

    Returns:
        The exit status: 0, or 1 if serving has failed, which is logged.

    Raises:
        WrongUseError: an address is malformed or not available.
    """
    limits = conditions.limits
    fitting = fit_to_descriptors(limits)
    with naming_wrong_use():
        listeners = await open_listeners(*binds)
    start = partial(
        serve,
        app,
        listeners,
        timeouts=conditions.timeouts,
        limits=fitting,
        behavior=conditions.behavior,
        report=log_to(log),
    )
    with (
        log.gathering(),
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
    ):

        def begin(server: Server, nursery: trio.Nursery) -> None:
            log.write(Level.INFO, listening_line(binds, server.addresses))
            tell_of_fewer(limits, fitting, log)
            nursery.start_soon(_obey, signals, server, nursery.cancel_scope, log)

        async def hear_signal() -> None:
            log.write(Level.INFO, f"[SERVER STOPPING] {_name_of(await anext(signals))}")

        status = await serve_until(start, [hear_signal], begin, log)
    if status == 0:
        log.write(Level.INFO, "[SERVER STOPPED]")
    return status


@contextmanager
def naming_wrong_use() -> Iterator[None]:
    """Translate errors of opening listeners into ``WrongUseError``."""
    try:
        yield
    except OSError as error:
        raise WrongUseError(str(error.strerror)) from error
    except ValueError as error:
        raise WrongUseError(str(error)) from error


async def serve_until(
    start: Callable[..., Awaitable[None]],
    ends: Sequence[Callable[[], Awaitable[object]]],
    begin: Callable[[Server, trio.Nursery], None],
    log: Log,
) -> int:
    """Run a server; return 0 when it has ended, or 1 if it has failed.

    Args:
        start: ``serve`` with its arguments.
        ends: functions that run while the server starts; the first to return stops it.
        begin: called when the server has started, with a nursery that the server's end cancels.
        log: receives a failure with its traceback.
    """
    try:
        with unwrapping():
            await _serve_between(start, ends, begin)
    except Exception as error:  # noqa: BLE001 - the lifetime of the app may raise anything
        log.write(*line_of_failure(error))
        return 1
    return 0


async def _serve_between(
    start: Callable[..., Awaitable[None]],
    ends: Sequence[Callable[[], Awaitable[object]]],
    begin: Callable[[Server, trio.Nursery], None],
) -> None:
    # One task waits for signals while another serves. The server's end cancels both.
    async with trio.open_nursery() as nursery:

        async def serve_until_done(*, task_status: trio.TaskStatus[Server]) -> None:
            await start(task_status=task_status)
            nursery.cancel_scope.cancel()

        async def end_after(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            nursery.cancel_scope.cancel()

        # The app may take long to start. Until then there is nothing to drain.
        async with trio.open_nursery() as starting:
            for wait in ends:
                starting.start_soon(end_after, wait)
            server = await nursery.start(serve_until_done)
            starting.cancel_scope.cancel()
        begin(server, nursery)


def tell_of_fewer(limits: Limits, fitting: Limits, log: Log) -> None:
    """Log a warning if the process may not open enough descriptors for all connections."""
    if fitting.connections < limits.connections:
        text = (
            f"to {fitting.connections} of {limits.connections}, because a process "
            f"may open no more than {descriptor_limit()} files (ulimit -Hn)"
        )
        log.write(Level.WARNING, f"[CONNECTIONS LIMITED] {text}")


def stopping(number: int) -> str:
    """Return the log line for a signal that begins the shutdown."""
    return f"[SERVER STOPPING] {_name_of(number)}; a second signal stops at once"


def _name_of(number: int) -> str:
    return signal.Signals(number).name


async def _obey(
    signals: AsyncIterator[int], server: Server, everything: trio.CancelScope, log: Log
) -> None:
    log.write(Level.INFO, stopping(await anext(signals)))
    server.shutdown()
    await anext(signals)
    everything.cancel()
