"""The command line: the one place that knows arguments and exit statuses."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, NoReturn

import trio

from trio_http import __version__
from trio_http.command.arguments import address, directory, host
from trio_http.command.exposure import enforced_hosts, reachable_from_outside
from trio_http.command.loading import WrongUseError, load_app
from trio_http.command.processors import WORKERS_FOR_EACH, processors
from trio_http.command.running import run
from trio_http.command.standard_streams import drop_unwritable, tell
from trio_http.command.supervising import WORKER, supervise, work
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.http1.exchange import App
from trio_http.observe.access_log import Level, Log, line_of_loss
from trio_http.observe.log_writer import Spool
from trio_http.semantics.limits import Limits

DEFAULT_BIND = "localhost:4221"

CAN_HAVE_WORKERS = os.name == "posix"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUseError(message)

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - nobody gives one
        _tell(self.format_help())


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        _tell(f"trio-http {__version__}\n")
        parser.exit()


class _NotToldError(Exception):
    """What was asked for could not be written; the text says why, in one line."""


def _tell(text: str) -> None:
    try:
        tell(text)
    except OSError as error:
        raise _NotToldError(f"cannot write to the standard output: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0, 1 for what failed, 2 for wrong use."""
    try:
        with Spool(sys.stderr, line_of_loss) as errors:
            return _main(arguments, errors)
    finally:
        drop_unwritable()


def _main(arguments: Sequence[str] | None, errors: Spool) -> int:
    try:
        return _run(arguments, errors)
    except _NotToldError as error:
        errors.write(f"trio-http: {error}\n")
        return 1
    except WrongUseError as error:
        errors.write(f"trio-http: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:  # before there was a server that could drain
        return 130
    except Exception:  # noqa: BLE001 - Python itself would wait for somebody to read this
        errors.write(traceback.format_exc())
        return 1


def _run(arguments: Sequence[str] | None, errors: Spool) -> int:
    options = _parser().parse_args(arguments)
    log = Log(errors, Level[options.log_level.upper()])
    binds = options.bind or [DEFAULT_BIND]
    limits = Limits(connections=options.connections, date=options.date, plain=options.plain)
    worker = os.environ.pop(WORKER, None)  # it is for us, not for what an app may start
    if worker is not None:
        return trio.run(work, options.app_of(options), limits, log, worker)
    if options.workers and CAN_HAVE_WORKERS:
        return trio.run(supervise, _this_command(arguments), binds, options.workers, limits, log)
    return trio.run(run, options.app_of(options), binds, limits, log)


def _this_command(arguments: Sequence[str] | None) -> list[str]:
    """What starts this command once more, with the same options of the interpreter."""
    if arguments is not None:  # it was not started as a command, but called
        return [sys.executable, "-m", "trio_http", *arguments]
    return [sys.executable, *sys.orig_argv[1:]]


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--bind",
        action="append",
        type=address,
        metavar="HOST:PORT",
        help="where to listen; may be repeated; port 0 takes any that is free "
        f"(default: {DEFAULT_BIND}, on IPv4 and IPv6)",
    )
    common.add_argument(
        "--log-level",
        choices=[level.name.lower() for level in Level],
        default="info",
        help="log level: info logs every connection and request, warning only responses "
        "that were cut off, error only failures (default: info)",
    )
    common.add_argument(
        "--workers",
        type=_workers,
        metavar="N|auto",
        help="serve with N processes, or with one for each processor (auto); quotas of "
        "control groups count; SIGHUP replaces them one after the other "
        "(default: serve with this process)",
    )
    common.add_argument(
        "--connections",
        type=_number,
        metavar="N",
        default=Limits().connections,
        help="maximum concurrent connections per process; new clients take the place of idle "
        "ones, or wait; fewer if ulimit -Hn is too low for them (default: %(default)s)",
    )
    common.add_argument(
        "--date",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="send a Date header (default: yes)",
    )
    common.add_argument(
        "--plain",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="handle plain requests without h11, which is faster (default: yes)",
    )
    parser = _Parser(
        prog="trio-http",
        description="An HTTP/1.1 server built on structured concurrency.",
        epilog="Each command has its own --help. Ctrl-C lets running requests finish, "
        "a second one stops at once. Exit status: 0 when told to end, 1 after a failure, "
        "2 for wrong use, 143 or 130 when ended by a signal before the server listens.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_challenge(commands, common)
    _add_files(commands, common)
    _add_app(commands, common)
    return parser


def _add_challenge(commands: Any, common: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "challenge",
        parents=[common],
        allow_abbrev=False,
        help="echo, user agent, files: the server of the challenge",
        description="The server that 'Build your own HTTP server' asks for: "
        "/, /echo/TEXT, /user-agent, and GET and POST of /files/NAME.",
    )
    command.add_argument(
        "--directory",
        type=directory,
        metavar="DIR",
        help="where the files under /files/ are (default: there are none)",
    )
    _add_server_name(
        command,
        "a host name of this server; may be repeated. Browsers store nothing under another "
        "name (default: localhost and loopback addresses while --bind has no others, else any)",
    )
    command.set_defaults(app_of=_challenge)


def _challenge(options: argparse.Namespace) -> App:
    from trio_http.apps.challenge import challenge  # noqa: PLC0415 - where it is asked for

    return challenge(options.directory, _enforced_hosts(options))


def _add_server_name(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument(
        "--server-name", action="append", type=host, default=[], metavar="NAME", help=text
    )


def _enforced_hosts(options: argparse.Namespace) -> Sequence[str] | None:
    return enforced_hosts(options.bind or [DEFAULT_BIND], options.server_name)


def _add_files(commands: Any, common: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "files",
        parents=[common],
        allow_abbrev=False,
        help="serve the files of a directory",
        description="Serve the files of a directory, and nothing outside of it.",
    )
    command.add_argument("directory", type=directory, metavar="DIR", help="which directory")
    command.add_argument(
        "--no-listing",
        action="store_const",
        dest="listing",
        const=NOTHING_MORE,
        default=Permissions.LISTING,
        help="do not show what is in a folder that has no index.html",
    )
    for option, what, text in (
        ("--hidden", Permissions.HIDDEN, "serve and show names that begin with a dot"),
        ("--follow-links", Permissions.LINKS, "follow links, wherever they lead"),
        ("--writable", Permissions.WRITING, "let clients store, replace and delete files"),
        ("--precompressed", Permissions.PRECOMPRESSED, "send name.zst, .br or .gz instead of name"),
    ):
        command.add_argument(option, action="append_const", dest="allow", const=what, help=text)
    command.add_argument(
        "--allow-remote-writes",
        action="store_true",
        help="allow --writable on non-loopback addresses; there is no password, so every "
        "client that reaches the server can change the files",
    )
    command.add_argument(
        "--charset",
        metavar="NAME",
        help="send texts with this charset, or with 'none' (default: utf-8 for what is UTF-8)",
    )
    command.add_argument(
        "--cache-control",
        metavar="TEXT",
        help="send files with this Cache-Control, for example 'max-age=3600'",
    )
    _add_server_name(
        command,
        "a host name of this server; may be repeated. Requests for any other host get a 421 "
        "(default: localhost and loopback addresses, which always count, while --bind has no "
        "others, else any)",
    )
    command.set_defaults(app_of=_files)


def _files(options: argparse.Namespace) -> App:
    from trio_http.apps.cross_site import only_hosts  # noqa: PLC0415 - where it is asked for
    from trio_http.file_server.app import files  # noqa: PLC0415 - the same

    allow = reduce(or_, options.allow or [], options.listing)
    bind = reachable_from_outside(options.bind or [DEFAULT_BIND])
    if Permissions.WRITING in allow and not options.allow_remote_writes and bind is not None:
        raise WrongUseError(
            f"every client that reaches {bind} could change the files: bind to a loopback "
            "address, such as 127.0.0.1:8000, or add --allow-remote-writes"
        )
    fields = {"charset": options.charset, "cache_control": options.cache_control}
    try:
        app = files(options.directory, allow=allow, **fields)
    except ValueError as error:
        raise WrongUseError(str(error)) from error
    hosts = _enforced_hosts(options)
    return app if hosts is None else only_hosts(app, hosts)


def _add_app(commands: Any, common: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "app",
        parents=[common],
        allow_abbrev=False,
        help="serve a Router, a handler or an App of your own",
        description="Serve what a module of yours defines: a Router, a handler "
        "(async, from Request to Response), an App (async, given an Exchange), or an async "
        "context manager that yields a Router or an App, or a function that makes one "
        "(@asynccontextmanager). A context manager is entered by each process, within "
        "60 seconds, before the first connection, and left after the last.",
    )
    command.add_argument(
        "name",
        metavar="MODULE:NAME",
        help="for example hello:app for 'app' in hello.py; the current folder is searched first",
    )
    command.set_defaults(app_of=lambda options: load_app(options.name))


def _workers(text: str) -> int:
    most = WORKERS_FOR_EACH * processors()
    number = processors() if text == "auto" else _number(text)
    if number > 1 and not CAN_HAVE_WORKERS:
        raise argparse.ArgumentTypeError("there can be but one on this system")
    if number > most:
        reason = f"more than {most}, {WORKERS_FOR_EACH} for each processor: {text}"
        raise argparse.ArgumentTypeError(reason)
    return number


def _number(text: str) -> int:
    # int() refuses thousands of digits, and whatever counts is smaller than this.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"not a number from 1 to 999999999: {text}")
    return int(text)
