"""What a command does once its arguments are understood: serve, until it is told to end."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Sequence
from functools import partial

import trio

from trio_http.http1.exchange import App
from trio_http.loading import WrongUseError
from trio_http.observe import Level, Log, log_to
from trio_http.semantics.limits import Limits
from trio_http.serving.listeners import open_listeners
from trio_http.serving.server import Server, serve


async def run(app: App, binds: Sequence[str], limits: Limits, log: Log) -> None:
    """Serve until told to end by SIGINT or SIGTERM: once to drain, twice to stop at once.

    ``WrongUseError`` says where we cannot listen.
    """
    listeners = await _open(binds)
    start = partial(serve, app, listeners, limits=limits, report=log_to(log))
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        # One task waits for signals while another serves: the server's end is
        # the end of both.
        async with trio.open_nursery() as nursery:

            async def serve_until_done(*, task_status: trio.TaskStatus[Server]) -> None:
                await start(task_status=task_status)
                nursery.cancel_scope.cancel()

            server = await nursery.start(serve_until_done)
            log.write(Level.INFO, f"[SERVER STARTED] Listening on {_announced(binds, server)}")
            nursery.start_soon(_obey, signals, server, nursery.cancel_scope, log)
    log.write(Level.INFO, "[SERVER STOPPED]")


async def _open(binds: Sequence[str]) -> list[trio.SocketListener]:
    try:
        return await open_listeners(*binds)
    except OSError as error:
        raise WrongUseError(str(error.strerror)) from error
    except ValueError as error:
        raise WrongUseError(str(error)) from error


def _announced(binds: Sequence[str], server: Server) -> str:
    """Where the server listens; both loopback addresses go by the name that people use."""
    if all(bind.startswith("localhost:") for bind in binds):
        ports = {address.rpartition(":")[2] for address in server.addresses}
        return ", ".join(f"localhost:{port}" for port in sorted(ports))
    return ", ".join(server.addresses)


async def _obey(
    signals: AsyncIterator[int], server: Server, everything: trio.CancelScope, log: Log
) -> None:
    number = await anext(signals)
    name = signal.Signals(number).name
    log.write(Level.INFO, f"[SERVER STOPPING] {name}; once more stops at once")
    server.shutdown()
    await anext(signals)
    everything.cancel()
