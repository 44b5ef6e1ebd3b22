"""A server for one connection, over any stream."""

from __future__ import annotations

import trio

from trio_http.http1.app_lifetime import Servable, entered
from trio_http.http1.connection import Service, serve_connection
from trio_http.http1.server_events import Report, report_failures
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.transport.stream import transport_of


async def serve_stream(  # noqa: PLR0913 - the parameters of ``serve``
    app: Servable,
    stream: trio.abc.Stream,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
    client: str = "local",
) -> None:
    """Serve one connection over any stream, and close it.

    Return when the connection has ended. Neither a client nor a failing request makes it
    raise: only cancellation and errors of the lifetime do.

    Args:
        app: as for ``serve``. Its lifetime is entered before the first request and left after
            the last.
        stream: carries the connection. It is closed in any case.
        timeouts: the seconds that the server waits.
        limits: the sizes and numbers that it accepts.
        behavior: choices that are not limits, such as sending a Date header.
        report: called with each event of the connection. The default logs failures to the
            logger ``trio_http``.
        client: the address of the client, for ``Request.client`` and reports.

    Raises:
        trio.TooSlowError: the lifetime of the app has not begun within ``timeouts.start`` seconds.
        Exception: raised in the frame of the app's lifetime.
    """
    has_begun = False
    try:
        async with entered(app, timeouts) as within:
            has_begun = True
            keep_alive = KeepAliveQueue(timeouts.idle)
            service = Service(within, keep_alive, timeouts, limits, behavior, report)
            await serve_alone(service, keep_alive, stream, client)
    finally:
        if not has_begun:
            await trio.aclose_forcefully(stream)


async def serve_alone(
    service: Service, keep_alive: KeepAliveQueue, stream: trio.abc.Stream, client: str
) -> None:
    """Serve one connection within the lifetime of its app, and close it."""
    # The nursery runs the task that limits the connection's idle time, as long as it lasts.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive.watch)
        await serve_connection(service, transport_of(stream, service.timeouts), client)
        nursery.cancel_scope.cancel()
