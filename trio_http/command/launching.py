"""Builds the app that the settings name, and serves it in this process or in workers."""

from __future__ import annotations

import os
from collections.abc import Sequence

import trio

from trio_http.command.exposure import enforced_hosts, reachable_from_outside
from trio_http.command.loading import load_app
from trio_http.command.multi_process import WORKER, supervise, work
from trio_http.command.option_values import CAN_HAVE_WORKERS
from trio_http.command.settings import Settings
from trio_http.command.signals import outliving_hangups
from trio_http.command.single_process import Conditions, serve_until_signal
from trio_http.command.wrong_use import WrongUseError
from trio_http.http1.app_lifetime import Servable
from trio_http.observe.access_log import Level, Log
from trio_http.observe.log_writer import Spool
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts


def start(settings: Settings, command: Sequence[str], errors: Spool) -> int:
    """Serve until a signal arrives, and return the exit status.

    Args:
        settings: the settings of this process and of its workers.
        command: the command that starts a worker.
        errors: receives the log.
    """
    log = Log(errors, Level[settings["log-level"].upper()])
    binds = settings["bind"]
    conditions = Conditions(
        settings.fields_of(Timeouts),
        settings.fields_of(Limits),
        settings.fields_of(Behavior),
    )
    worker = os.environ.pop(WORKER, None)  # programs that the app starts must not inherit it
    if worker is not None:
        return trio.run(work, app_of(settings), conditions, log, worker)
    number = settings["workers"]
    if number and CAN_HAVE_WORKERS:
        with outliving_hangups():
            return trio.run(supervise, command, binds, number, conditions, log)
    return trio.run(serve_until_signal, app_of(settings), binds, conditions, log)


def app_of(settings: Settings) -> Servable:
    """Return the app that the settings name.

    Raises:
        WrongUseError: the app cannot be loaded, or the settings contradict each other.
    """
    match settings.command:
        case "challenge":
            return _challenge(settings)
        case "files":
            return _files(settings)
        case _:
            return load_app(settings.argument)


def _challenge(settings: Settings) -> Servable:
    from trio_http.apps.challenge import challenge  # noqa: PLC0415 - other commands do not need it

    return challenge(settings["directory"], _hosts(settings))


def _hosts(settings: Settings) -> Sequence[str] | None:
    return enforced_hosts(settings["bind"], settings["server-name"])


def _files(settings: Settings) -> Servable:
    from trio_http.apps.cross_site import only_hosts  # noqa: PLC0415 - as above
    from trio_http.file_server.app import files  # noqa: PLC0415 - as above
    from trio_http.file_server.durability import Durability  # noqa: PLC0415 - as above
    from trio_http.file_server.permissions import (  # noqa: PLC0415 - as above
        NOTHING_MORE,
        Permissions,
    )

    allow = NOTHING_MORE
    for name, permission in (
        ("listing", Permissions.LISTING),
        ("hidden", Permissions.HIDDEN),
        ("follow-links", Permissions.LINKS),
        ("writable", Permissions.WRITING),
        ("precompressed", Permissions.PRECOMPRESSED),
    ):
        if settings[name]:
            allow |= permission
    bind = reachable_from_outside(settings["bind"])
    if Permissions.WRITING in allow and not settings["allow-remote-writes"] and bind is not None:
        raise WrongUseError(
            f"every client that reaches {bind} could change the files: bind to a loopback "
            "address, such as 127.0.0.1:8000, or add --allow-remote-writes"
        )
    durability = Durability.DISK if settings["durable"] else Durability.SYSTEM
    fields = {"charset": settings["charset"], "cache_control": settings["cache-control"]}
    try:
        app = files(settings.argument, allow=allow, durability=durability, **fields)
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    hosts = _hosts(settings)
    return app if hosts is None else only_hosts(app, hosts)
