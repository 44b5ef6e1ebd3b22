"""The settings of a command, each with its value and its source.

A setting is named after its option. For ``--timeout-idle``, the key in a configuration file is
``timeout-idle`` and the environment variable is ``TRIO_HTTP_TIMEOUT_IDLE``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from trio_http.command.wrong_use import WrongUseError
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.quantities import Quantity, described_fields, quantities_of
from trio_http.semantics.timeouts import Timeouts

DEFAULT_HOST = "localhost"
DEFAULT_BIND = f"{DEFAULT_HOST}:4221"

_PREFIX = "TRIO_HTTP_"

DEFAULT, COMMAND_LINE = "default", "command line"

# The prefix of the settings that are fields of each dataclass.
_GROUPS: Mapping[type, str] = {Timeouts: "timeout-", Limits: "limit-", Behavior: ""}

# These cannot be in a configuration file, so --show-settings omits them.
_NOT_SHOWN = {"config", "show-settings"}

Numbers = TypeVar("Numbers")


def variable_of(name: str) -> str:
    """Return the name of the environment variable of a setting."""
    return _PREFIX + name.upper().replace("-", "_")


def numbers() -> Iterator[tuple[str, float, Quantity]]:
    """Yield the name, the default and the description of each setting that is a number."""
    for kind, prefix in _GROUPS.items():
        for field, default, quantity in quantities_of(kind):
            yield f"{prefix}{field.replace('_', '-')}", default, quantity


@dataclass(frozen=True, slots=True)
class Setting:
    """The effective value of a setting and its source."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective settings of a command, by name, and its argument, if any."""

    command: str
    argument: Any
    given: Mapping[str, Setting]

    def __getitem__(self, name: str) -> Any:
        """Return the value of a setting."""
        return self.given[name].value

    def fields_of(self, kind: type[Numbers]) -> Numbers:
        """Return an instance of ``Timeouts``, ``Limits`` or ``Behavior`` made from the settings."""
        names = [name for name, _, _ in described_fields(kind)]
        return kind(**{name: self[f"{_GROUPS[kind]}{name.replace('_', '-')}"] for name in names})

    def shown(self) -> str:
        """Return all settings as a configuration file, with the source of each as a comment."""
        quantities = {name: quantity for name, _, quantity in numbers()}
        texts = {
            name: _toml_of(setting.value, quantities.get(name))
            for name, setting in self.given.items()
            if name not in _NOT_SHOWN
        }
        lines = {
            name: f"{name} = {text}" if text else f"# {name} is not set"
            for name, text in texts.items()
        }
        width = max(map(len, lines.values()))
        return "".join(
            f"{line:{width}}  # {self.given[name].source}\n" for name, line in lines.items()
        )


def _toml_of(value: Any, quantity: Quantity | None) -> str:
    """Return a value as TOML, empty for None."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(_toml_of(each, None) for each in value)}]"
        case int() | float():
            text = quantity.text_of(value) if quantity else str(value)
            return text if text.replace(".", "").isdigit() else f'"{text}"'
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    """Return a text as a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(
            character if character.isprintable() else f"\\U{ord(character):08x}"
            for character in escaped
        )
        + '"'
    )


def read_file(path: str, known: Iterable[str]) -> dict[str, Any]:
    """Return the settings in a configuration file, by name.

    Args:
        path: the path of the file.
        known: the names of all settings.

    Raises:
        WrongUseError: the file cannot be read, is not TOML, or has an unknown setting.
    """
    import tomllib  # noqa: PLC0415 - needed only with a file

    try:
        found = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise WrongUseError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise WrongUseError(f"{path} is not valid TOML: {error}") from error
    known = list(known)
    for name in found:
        if name not in known:
            raise WrongUseError(f"{path}: unknown setting {name}{_similar(name, known)}")
    return found


def check_environment(environment: Iterable[str], known: Iterable[str]) -> None:
    """Raise ``WrongUseError`` for a ``TRIO_HTTP_`` variable that is not a setting."""
    names = {variable_of(name): name for name in known}
    for variable in environment:
        if variable.startswith(_PREFIX) and variable not in names:
            name = variable.removeprefix(_PREFIX).lower().replace("_", "-")
            similar = _similar(name, list(names.values()), variable_of)
            raise WrongUseError(f"unknown setting {variable} in the environment{similar}")


def _similar(name: str, known: Sequence[str], spelled: Callable[[str], str] = str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    found = get_close_matches(name, known, 1)
    return f": did you mean {spelled(found[0])}?" if found else ": --help lists all settings"
