"""``run``, which serves an app as the main part of a program."""

from __future__ import annotations

import sys
from typing import Literal

import trio

from trio_http.command.loading import app_from
from trio_http.command.settings import DEFAULT_BIND
from trio_http.command.signals import ending_at_once
from trio_http.command.single_process import Conditions, serve_until_signal
from trio_http.command.wrong_use import WrongUseError
from trio_http.http1.app_lifetime import Servable
from trio_http.http1.exchange import Handler
from trio_http.observe.access_log import Level, Log, line_of_loss
from trio_http.observe.log_writer import Spool
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts


def run(
    app: Servable | Handler,
    *binds: str,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
    log_level: Literal["info", "warning", "error"] = "info",
) -> None:
    """Serve an app as ``trio-http app`` does, until a signal ends it.

    It starts Trio, logs to the standard error, and returns after a shutdown. The first SIGINT
    (Ctrl-C) or SIGTERM lets running exchanges finish within ``timeouts.grace`` seconds, the
    second one stops at once. A program that also runs other tasks calls ``serve`` in its own
    nursery instead.

    Args:
        app: a Router, an App, a handler, or an async context manager of one of them. A
            function must declare that it takes an ``Exchange`` (an App) or a ``Request`` (a
            handler).
        binds: the addresses to listen on, such as ``127.0.0.1:8000`` or ``:8000`` for every
            network of this machine (default: ``localhost:4221``).
        timeouts: how long the server waits in each phase.
        limits: the maximum sizes and counts to accept. The limit of connections is lowered if
            the process may not open enough descriptors.
        behavior: the optional behavior of the server.
        log_level: ``info`` logs every connection and request, ``warning`` only responses that
            were cut off, ``error`` only failures.

    Raises:
        OSError: an address is not available.
        ValueError: an address is malformed.
        TypeError: the app cannot be served.
        SystemExit: serving has failed, which is logged; the exit status is 1.
        RuntimeError: called inside a running Trio program.
    """
    try:
        served = app_from(app, getattr(app, "__qualname__", type(app).__qualname__))
    except WrongUseError as error:
        raise TypeError(str(error)) from error
    with ending_at_once(), Spool(sys.stderr, line_of_loss) as errors:
        log = Log(errors, Level[log_level.upper()])
        conditions = Conditions(timeouts, limits, behavior)
        try:
            status = trio.run(serve_until_signal, served, binds or [DEFAULT_BIND], conditions, log)
        except WrongUseError as error:
            raise (error.__cause__ or error) from None
    if status:
        raise SystemExit(status)
