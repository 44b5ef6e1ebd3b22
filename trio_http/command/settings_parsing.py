"""Parses arguments, the environment and a configuration file into settings, with click.

The command line overrides the environment, which overrides the file. Each error is one line,
which names the option, variable or file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from trio_http import __version__
from trio_http.command.option_values import directory
from trio_http.command.options import (
    APP,
    CHALLENGE,
    FILES,
    Sections,
    all_options,
    name_of,
    typed,
)
from trio_http.command.settings import (
    COMMAND_LINE,
    DEFAULT,
    DEFAULT_BIND,
    DEFAULT_HOST,
    Setting,
    Settings,
    check_environment,
    variable_of,
)
from trio_http.command.standard_streams import tell
from trio_http.command.wrong_use import WrongUseError

_FILES = "Serve the files in DIR, and nothing outside of it."
_APP = (
    "Serve your own Router, handler or App.\n\n"
    "MODULE:NAME is its location: hello:app means app in hello.py. The current directory is "
    "searched first.\n\n"
    "A handler is async and takes a parameter annotated as Request; an App takes one annotated as "
    "Exchange. NAME may also be an async context manager that yields one of these, or a function "
    "that makes one (@asynccontextmanager). Each process enters it before the first connection "
    "and exits it after the last."
)
_CHALLENGE = (
    "Serve the challenge 'Build your own HTTP server'.\n\n"
    "The paths are /, /echo/TEXT, /user-agent, and /files/NAME for GET and POST."
)
_EPILOG = (
    "Each option can also be set by an environment variable (--log-level by TRIO_HTTP_LOG_LEVEL) "
    "or by a key in the --config file (log-level). The command line overrides the environment, "
    "which overrides the file."
)


def parse(arguments: Sequence[str]) -> Settings | None:
    """Return the settings, or None after printing the help or the version.

    Raises:
        WrongUseError: a command, option, variable or key is unknown or malformed.
        OSError: standard output cannot be written.
    """
    try:
        with _group().make_context("trio-http", list(arguments)) as context:
            settings: Settings = context.command.invoke(context)
            return settings
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        raise WrongUseError(_line_of(error)) from error


def _help_option() -> click.Option:
    return _printing_option(
        ["-h", "--help"], lambda context: f"{context.get_help()}\n", "this help"
    )


def _printing_option(
    names: Sequence[str], text_of: Callable[[click.Context], str], what: str
) -> click.Option:
    """Return an option that prints a text and ends the command."""

    def callback(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            tell(text_of(context))
            context.exit()

    return click.Option(
        names,
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=callback,
        help=f"print {what} and exit",
    )


class _Command(click.Command):
    """A command whose help groups the options into sections."""

    def __init__(
        self, name: str, sections: Sections, text: str, argument: click.Argument | None
    ) -> None:
        self.sections = {**sections, "Help": [_help_option()]}
        options = [option for section in self.sections.values() for option in section]
        super().__init__(
            name,
            callback=click.pass_context(_settings_from),
            params=[*options, *([argument] if argument else [])],
            help=text,
            short_help=text.partition("\n")[0],
            epilog=_EPILOG,
            add_help_option=False,
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments and add this command's context to errors that have none."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each section under its title."""
        for title, options in self.sections.items():
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])


def _group() -> click.Group:
    return click.Group(
        "trio-http",
        commands=dict(COMMANDS),
        help="An HTTP/1.1 server built on structured concurrency.",
        epilog="Each command has its own --help. The first Ctrl-C lets running requests finish, "
        "the second stops at once. Exit status: 0 after a shutdown, 1 after a failure, 2 after "
        "wrong use, 130 or 143 after a signal before the server listened.",
        no_args_is_help=False,
        add_help_option=False,
        params=[
            _printing_option(
                ["-V", "--version"], lambda _: f"trio-http {__version__}\n", "the version"
            ),
            _help_option(),
        ],
    )


# The sources of a value, the one that overrides all others first.
_PLACES = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
    ParameterSource.DEFAULT,
)


def _settings_from(context: click.Context, /, argument: Any = None, **found: Any) -> Settings:
    check_environment(os.environ, map(name_of, all_options()))
    # In the order of the options in the help.
    names = [name_of(option) for option in context.command.params if option.name in found]
    given = {name: _setting_of(context, name) for name in names}
    given["bind"] = _bind_of(context, given.pop("port"), given["bind"])
    return Settings(str(context.info_name), argument, given)


def _setting_of(context: click.Context, name: str) -> Setting:
    key = name.replace("-", "_")
    return Setting(context.params[key], _source_of(context, key))


def _bind_of(context: click.Context, port: Setting, bind: Setting) -> Setting:
    """Return the addresses of --port or --bind, whichever overrides the other.

    Raises:
        WrongUseError: both are set in the same source.
    """
    ranks = [_PLACES.index(_place_of(context, name)) for name in ("port", "bind")]
    if port.value is not None and ranks[0] == ranks[1]:
        raise WrongUseError(
            f"both --port ({port.source}) and --bind ({bind.source}) are given: use "
            f"--bind HOST:{port.value} alone"
        )
    if port.value is not None and ranks[0] < ranks[1]:
        return Setting((f"{DEFAULT_HOST}:{port.value}",), port.source)
    return bind if bind.value else Setting((DEFAULT_BIND,), DEFAULT)


def _place_of(context: click.Context, name: str) -> ParameterSource:
    return context.get_parameter_source(name) or ParameterSource.DEFAULT


def _source_of(context: click.Context, name: str) -> str:
    """Return the source of a value as text for users."""
    match _place_of(context, name):
        case ParameterSource.COMMANDLINE:
            return COMMAND_LINE
        case ParameterSource.ENVIRONMENT:
            return variable_of(name)
        case ParameterSource.DEFAULT_MAP:
            return str(context.params["config"])
        case _:
            return DEFAULT


def _line_of(error: click.UsageError) -> str:
    """Return one line that names the error, its place and the way out."""
    context = error.ctx
    see = f"see {context.command_path if context else 'trio-http'} --help"
    match error:
        case click.NoSuchOption():
            similar = f" (did you mean {error.possibilities[0]}?)" if error.possibilities else ""
            return f"no such option {error.option_name}{similar}: {see}"
        case click.MissingParameter(param=click.Parameter() as parameter):
            return f"{parameter.metavar} is missing: {see}"
        case click.BadParameter(param=click.Parameter() as parameter) if context:
            return f"{_place_in(context, parameter)}: {_reason_of(error, parameter)}"
        case _:
            message = error.format_message().removesuffix(".")
            return f"{message[:1].lower()}{message[1:]}: {see}"


def _reason_of(error: click.BadParameter, parameter: click.Parameter) -> str:
    """Return why a value is not valid. For a flag, the error lacks the text of the value."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return f"must be yes or no, not {os.environ.get(variable_of(name_of(parameter)))}"
    return error.message.removesuffix(".")


def _place_in(context: click.Context, parameter: click.Parameter) -> str:
    """Return the option, variable or key of a value."""
    match _place_of(context, str(parameter.name)):
        case ParameterSource.ENVIRONMENT:
            return variable_of(name_of(parameter))
        case ParameterSource.DEFAULT_MAP:
            return f"{context.params['config']}: {name_of(parameter)}"
        case _ if isinstance(parameter, click.Option):
            return f"--{name_of(parameter)}"
        case _:
            return str(parameter.metavar)


# The commands by name, which is the first word of the command line.
COMMANDS: Mapping[str, click.Command] = {
    "files": _Command(
        "files",
        FILES,
        _FILES,
        click.Argument(["argument"], metavar="DIR", type=typed(directory)),
    ),
    "app": _Command("app", APP, _APP, click.Argument(["argument"], metavar="MODULE:NAME")),
    "challenge": _Command("challenge", CHALLENGE, _CHALLENGE, None),
}
