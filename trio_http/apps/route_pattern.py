"""Patterns of routes: the paths that they match and the values of their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trio_http.apps.route_splitting import DIGITS, Extent, is_ambiguous, split
from trio_http.semantics.paths import has_one_spelling, literal_path, normal_path
from trio_http.semantics.request import decoded

_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-z]+))?\}")
# The path of a request is visible ASCII with well-formed escapes, and ends before a query or a
# fragment (RFC 3986 3.3).
PATH = re.compile(r"/(?:[!\"$&->@-~]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class _Kind:
    """The texts that a name can match, and the value passed to the handler."""

    regex: str
    extent: Extent  # for paths where a regular expression would take too long
    type: type
    read: Callable[[str], Any]


# Each kind matches everything that the kinds before it match. 39 digits are enough for 128
# bits, and ``int`` parses them instantly.
KINDS = {
    "int": _Kind("([0-9]{1,39})", Extent(only=DIGITS, longest=39), int, int),
    "str": _Kind("([^/]+)", Extent(stop="/"), str, decoded),
    "path": _Kind("(.+)", Extent(), str, decoded),
}
_WIDTHS = list(KINDS)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path with names in braces: ``/users/{id:int}``, ``/docs/{name}``, ``/raw/{rest:path}``.

    A name, with or without ``:str``, matches one non-empty segment; ``:int`` matches digits,
    passed as a number; ``:path`` matches the rest of the path. Patterns and paths are compared
    in their normal form (RFC 3986 6.2.2) and values decoded afterwards, so an escaped slash is
    never a separator. In the value of a ``:path`` it looks like one: split ``request.segments``
    instead.
    """

    text: str = field(compare=False)
    regex: re.Pattern[str]
    literals: tuple[str, ...]  # the texts around the names, so one more than names
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    is_ambiguous: bool

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Parse a pattern, or raise ``ValueError`` with the reason."""
        if not PATH.fullmatch(text):
            raise ValueError(f"not a percent-encoded path that begins with a slash: {text!r}")
        path = normal_path(text)
        names = tuple([match[1] for match in _PARAMETER.finditer(path)])
        kinds = tuple([match[2] or "str" for match in _PARAMETER.finditer(path)])
        literals = tuple(_PARAMETER.split(path)[::3])
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError(f"write names in braces, as in /users/{{name}}: {text!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"a name may occur only once: {text!r}")
        if unknown := set(kinds) - set(KINDS):
            raise ValueError(
                f"the type of a name is int, str or path, not {min(unknown)}: {text!r}"
            )
        literals = tuple(map(literal_path, literals))
        groups = [KINDS[kind].regex for kind in kinds]
        regex = "".join(
            re.escape(literal) + group
            for literal, group in zip(literals, [*groups, ""], strict=True)
        )
        ambiguous = is_ambiguous(literals, [KINDS[kind].extent for kind in kinds])
        return cls(text, re.compile(regex, re.DOTALL), literals, names, kinds, ambiguous)

    @property
    def has_one_spelling(self) -> bool:
        """True if a path in its normal form can spell the literals in one way only."""
        return all(map(has_one_spelling, self.literals))

    def match(self, path: str) -> dict[str, Any] | None:
        """Return the values of the names in a normal path, or None if the path does not match.

        Unless ``has_one_spelling``, the path must be a ``literal_path``.
        """
        texts: Sequence[str] | None
        if self.is_ambiguous:
            texts = split(path, self.literals, [KINDS[kind].extent for kind in self.kinds])
        else:
            match = self.regex.fullmatch(path)
            texts = None if match is None else match.groups()
        if texts is None:
            return None
        if "%" not in path and "int" not in self.kinds:  # the usual case
            return dict(zip(self.names, texts, strict=True))
        return {
            name: KINDS[kind].read(text)
            for name, kind, text in zip(self.names, self.kinds, texts, strict=True)
        }

    def covers(self, other: Pattern) -> bool:
        """Return whether this pattern, with equal literals, matches every path of the other."""
        return self.literals == other.literals and all(
            _WIDTHS.index(mine) >= _WIDTHS.index(theirs)
            for mine, theirs in zip(self.kinds, other.kinds, strict=True)
        )
