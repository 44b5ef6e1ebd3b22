"""Serves with worker processes: ``supervise`` runs in the parent, ``work`` in each worker."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from functools import partial

import trio

from trio_http.command.single_process import (
    Conditions,
    naming_wrong_use,
    serve_until,
    stopping,
    tell_of_fewer,
)
from trio_http.command.urls import listening_line
from trio_http.http1.app_lifetime import Servable
from trio_http.observe.access_log import Level, Log, line_of_worker, log_to
from trio_http.serving import worker_channel
from trio_http.serving.descriptors import fit_to_descriptors
from trio_http.serving.listeners import close_queues, open_queues, take_over
from trio_http.serving.server import Server, address_of, serve
from trio_http.serving.worker_channel import READY, Channel
from trio_http.serving.workers import REMAIN, Ended, NotStarted, WorkerEvent, Workers

# This variable tells a worker its descriptors: first its channel, then its listening sockets.
# It is not a setting, so its name does not begin with TRIO_HTTP_.
WORKER = "_TRIO_HTTP_WORKER"

# Workers have their own process groups, so that a terminal signals only the parent, which
# controls the workers over channels. Service managers such as systemd may signal every process
# of a service. So a worker treats repeated signals as one and ignores SIGHUP: only the parent
# decides to replace workers or to stop them at once.


async def supervise(
    command: Sequence[str],
    binds: Sequence[str],
    number: int,
    conditions: Conditions,
    log: Log,
) -> int:
    """Run workers until a signal ends them, and return the exit status.

    SIGHUP replaces all workers.

    Args:
        command: the command that starts a worker.
        binds: the addresses to listen on.
        number: the number of workers.
        conditions: apply to each worker.
        log: receives what happens to the workers.
    """
    # Before the sockets are opened and the workers, which inherit the limit, are started.
    fitting = fit_to_descriptors(conditions.limits)
    with naming_wrong_use():
        queues = await open_queues(number, *binds)
    announcement = listening_line(binds, [address_of(listener) for listener in queues[0]])

    def report(event: WorkerEvent) -> None:
        log.write(*line_of_worker(event))

    try:
        # The inner nursery ends with the last worker, and the outer one with it.
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as running:
                start = partial(_start_worker, command)
                workers = Workers(running, start, queues, report, conditions.timeouts.grace)
                await nursery.start(_lead, workers, nursery.cancel_scope, log)
                failure = await workers.begin()
                if failure is None:
                    log.write(Level.INFO, announcement)
                    tell_of_fewer(conditions.limits, fitting, log)
            nursery.cancel_scope.cancel()
    finally:
        close_queues(queues)
    return _status_after(failure, log)


def _status_after(failure: Ended | NotStarted | None, log: Log) -> int:
    match failure:
        case None:
            log.write(Level.INFO, "[SERVER STOPPED]")
            return 0
        case Ended(status=2):
            return 2  # the worker has reported the wrong use
        case _:
            log.write(*line_of_worker(failure))
            return 1


async def _start_worker(
    command: Sequence[str], channel: int, listening: Sequence[int]
) -> trio.Process:
    descriptors = (channel, *listening)
    return await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        process_group=0,
        env={**os.environ, WORKER: ",".join(map(str, descriptors))},
    )


async def _lead(
    workers: Workers,
    everything: trio.CancelScope,
    log: Log,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    had_terminal, ending = os.isatty(2), False
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            # A closed terminal sends SIGHUP, too; then standard error is no longer a terminal.
            if number == signal.SIGHUP and had_terminal == os.isatty(2):
                if not ending:
                    log.write(Level.INFO, "[SERVER RENEWING] SIGHUP")
                    workers.renew()
            elif ending:
                everything.cancel()
            else:
                ending = True
                log.write(Level.INFO, stopping(number))
                workers.drain()


async def work(app: Servable, conditions: Conditions, log: Log, descriptors: str) -> int:
    """Serve as a worker, on inherited sockets, until the parent stops it.

    Args:
        app: the app to serve.
        conditions: the timeouts, limits and behavior.
        log: receives connections, requests and failures.
        descriptors: the value of the variable ``WORKER``.

    Returns:
        The exit status: 0, or 1 if serving has failed, which is logged.
    """
    to_parent, *listening = map(int, descriptors.split(","))
    fitting = fit_to_descriptors(conditions.limits)  # the parent has logged the limit
    start = partial(
        serve,
        app,
        take_over(listening),
        timeouts=conditions.timeouts,
        limits=fitting,
        behavior=conditions.behavior,
        report=log_to(log),
    )
    with (
        log.gathering(),
        Channel.take_over(to_parent) as parent,
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
    ):

        def begin(server: Server, nursery: trio.Nursery) -> None:
            nursery.start_soon(_drain_when_signalled, signals, server)
            nursery.start_soon(_follow, parent, server, nursery)
            parent.tell(READY)

        # Until the server has started, any message from the parent stops the worker.
        return await serve_until(start, [partial(_hear_end, signals), parent.hear], begin, log)


async def _hear_end(signals: AsyncIterator[int]) -> None:
    while await anext(signals) == signal.SIGHUP:
        pass


async def _drain_when_signalled(signals: AsyncIterator[int], server: Server) -> None:
    while True:
        await _hear_end(signals)
        server.shutdown()


async def _follow(parent: Channel, server: Server, nursery: trio.Nursery) -> None:
    while True:
        match await parent.hear():
            case worker_channel.RETIRE:
                server.retire()
                nursery.start_soon(_shut_down_later, server)
            case worker_channel.DRAIN:
                server.shutdown()
            case worker_channel.STOP:
                nursery.cancel_scope.cancel()
            case _:  # the parent has ended
                return server.shutdown()


async def _shut_down_later(server: Server) -> None:
    await trio.sleep(REMAIN)
    server.shutdown()
