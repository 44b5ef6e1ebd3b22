"""The options of each command, with their names, types and help texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import click

from trio_http.command import option_values
from trio_http.command.settings import DEFAULT_BIND, numbers, read_file, variable_of
from trio_http.command.wrong_use import WrongUseError
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.quantities import Switch, described_fields

# The names of ``Level``, which is loaded only for serving.
_LOG_LEVELS = ("info", "warning", "error")

Sections: TypeAlias = Mapping[str, Sequence[click.Option]]
"""The options of a command, by the title of their section in its help."""

_METAVARS = {"seconds": "SECONDS", "bytes": "BYTES", "fields": "N", "connections": "N"}


def typed(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Return a click type that parses strings and, from a configuration file, numbers."""

    def convert(value: object) -> Any:
        try:
            return read(str(value))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return convert


def _option(
    names: str, metavar: str, text: str, read: Callable[[str], Any] = str, **more: Any
) -> click.Option:
    """Return an option with a value; its first name is that of the setting."""
    name, *others = names.split()
    return click.Option(
        [name.replace("-", "_"), f"--{name}", *others],
        type=typed(read),
        metavar=metavar,
        envvar=variable_of(name),
        help=text,
        **more,
    )


def _flag(name: str, text: str, default: str = "no") -> click.Option:
    """Return an option that is on or off."""
    return click.Option(
        [name.replace("-", "_"), f"--{name}/--no-{name}"],
        default=default == "yes",
        envvar=variable_of(name),
        help=f"{text} (default: {default})",
    )


def _server_name(consequence: str) -> click.Option:
    return _option(
        "server-name",
        "NAME",
        f"host name of this server; may be repeated. {consequence} Localhost and loopback "
        "addresses are always allowed (default: only these if --bind has no others, else any)",
        option_values.host,
        multiple=True,
    )


_TITLES = {"timeout": "Timeouts", "limit": "Limits"}


def _number_options() -> Sections:
    found: dict[str, list[click.Option]] = {"Behavior": _switches()}
    for name, default, quantity in numbers():
        text = quantity.text_of(default)
        option = _option(
            f"{name} --connections" if name == "limit-connections" else name,
            _METAVARS[quantity.unit],
            f"{quantity.meaning} (default: {text})",
            quantity.parse,
            default=text,
        )
        found.setdefault(_TITLES.get(name.partition("-")[0], "Behavior"), []).append(option)
    return found


def _switches() -> list[click.Option]:
    return [
        _flag(name.replace("_", "-"), switch.meaning, switch.text_of(default))
        for name, default, switch in described_fields(Behavior)
        if isinstance(switch, Switch)
    ]


def _configure(context: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Use the settings in a configuration file as defaults of the other options."""
    if path is not None:
        known = {name_of(option): option for option in all_options()}
        found = read_file(path, [name for name in known if name != "config"])
        context.default_map = {
            name.replace("-", "_"): _checked(path, name, value, known[name])
            for name, value in found.items()
        }
    return path


def _checked(path: str, name: str, value: object, option: click.Option) -> object:
    """Return a value from a file in the form that click expects.

    Raises:
        WrongUseError: the value has the wrong type.
    """
    match value:
        case bool() if option.is_flag:
            return value
        case str() if option.multiple:
            return [value]
        case list() if option.multiple and all(isinstance(each, str) for each in value):
            return value
        case bool():
            pass  # in Python, a bool is an int
        case str() | int() | float() if not option.is_flag and not option.multiple:
            return value
    wanted = "true or false" if option.is_flag else "a string or a number"
    if option.multiple:
        wanted = "a string or a list of strings"
    raise WrongUseError(f"{path}: {name} must be {wanted}, not {value}")


def name_of(parameter: click.Parameter) -> str:
    """Return the name of the setting of a parameter."""
    assert parameter.name is not None  # noqa: S101 - only unexposed parameters have no name
    return parameter.name.replace("_", "-")


def all_options() -> Iterator[click.Option]:
    """Yield the options of all commands that have an environment variable."""
    for sections in (CHALLENGE, FILES, APP):
        for options in sections.values():
            yield from (option for option in options if option.envvar is not None)


_LISTENING: Sections = {
    "Listening": [
        _option(
            "bind -b",
            "HOST:PORT",
            "listen on this address; may be repeated. :8000 means port 8000 on every network of "
            f"this machine, port 0 any free port (default: {DEFAULT_BIND}, on IPv4 and IPv6)",
            option_values.address,
            multiple=True,
        ),
        _option("port -p", "PORT", "short for --bind localhost:PORT", option_values.port),
        _option(
            "workers -w",
            "N|auto",
            "serve with N worker processes; auto means one per processor, within the quota of the "
            "control group; SIGHUP replaces the workers one by one (default: serve in this "
            "process)",
            option_values.workers,
        ),
    ]
}
_RUNNING: Sections = {
    "Running": [
        click.Option(
            ["log_level", "--log-level"],
            type=click.Choice(_LOG_LEVELS),
            default="info",
            envvar=variable_of("log-level"),
            help="info logs every connection and request, warning only responses that were "
            "cut off, error only failures (default: info)",
        ),
        _option(
            "config",
            "FILE",
            "read settings from a TOML file whose keys are the names of options without the "
            "leading dashes (default: none)",
            is_eager=True,
            callback=_configure,
        ),
        click.Option(
            ["show_settings", "--show-settings"],
            is_flag=True,
            help="print the effective settings and their sources as a configuration file, and exit",
        ),
    ],
    **_number_options(),
}

CHALLENGE: Sections = {
    "Files": [
        _option(
            "directory",
            "DIR",
            "serve the files of this directory under /files/ (default: no files)",
            option_values.directory,
        ),
        _server_name("Browsers cannot store files under any other name."),
    ],
    **_LISTENING,
    **_RUNNING,
}
FILES: Sections = {
    "Files": [
        _flag("listing", "list directories that have no index.html", "yes"),
        _flag("hidden", "serve and list names that begin with a dot"),
        _flag("follow-links", "follow symbolic links, even out of DIR"),
        _flag("precompressed", "send NAME.zst, NAME.br or NAME.gz in place of NAME"),
        _option(
            "charset",
            "NAME",
            "charset of text files, or none to send no charset (default: utf-8 for files that "
            "are UTF-8)",
        ),
        _option(
            "cache-control",
            "TEXT",
            "Cache-Control header of files, for example max-age=3600 (default: none is sent)",
        ),
    ],
    "Access": [
        _flag("writable", "allow clients to store, replace and delete files"),
        _flag("durable", "force each change to the disk (fsync) before its response is sent"),
        _flag(
            "allow-remote-writes",
            "allow --writable on non-loopback addresses; there is no password, so every "
            "client that reaches the server can change the files",
        ),
        _server_name("Requests for any other host get a 421."),
    ],
    **_LISTENING,
    **_RUNNING,
}
APP: Sections = {**_LISTENING, **_RUNNING}
