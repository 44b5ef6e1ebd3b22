"""Field values that are more than text: lists with weights, dates, media types.

A value type or a parser each, as RFC 9110 defines the syntax. What a client
may send wrong is read as if it had not been sent, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import floor

# To read a member or a parameter of a list takes a microsecond, and to answer a plain
# request a hundred. Browsers send a dozen members with a weight each, word processors
# twice as many, and many servers take 8 KiB for all header fields together.
MOST_SEPARATORS = 200  # commas and semicolons in a list
LONGEST_LIST = 4096  # characters in a list

# Media types are short, boundaries have at most 70 characters (RFC 2046 5.1.1), and
# the names of charsets at most 40 (RFC 2978 2.3).
LONGEST_WITH_PARAMETERS = 1024  # characters in a value with parameters

# Content-Length (RFC 9110 8.6). A leading zero is octal to some recipients and decimal to
# others, and 18 digits are an exabyte.
LENGTH = r"0|[1-9][0-9]{0,17}"

# RFC 9110 12.4.2: 0 to 1 with at most three digits.
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")

# RFC 9110 5.6.4 and 5.6.6.
_PARAMETER = re.compile(r';[ \t]*([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_QUOTED_PAIR = re.compile(r"\\(.)")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first and the last second that four digits of a year can say. Some file
# systems keep times far beyond, and one odd file is no reason to answer 500.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799


def is_overlong(value: str) -> bool:
    """Return whether a list from a client is too long to be read.

    An overlong list counts as absent. Where ignoring the field would be wrong, because
    it guards a change, the request is refused instead.
    """
    return len(value) > MOST_SEPARATORS and (
        len(value) > LONGEST_LIST or value.count(",") + value.count(";") > MOST_SEPARATORS
    )


def list_of(value: str) -> list[str]:
    """The members of a comma-separated list of tokens, empty ones dropped (RFC 9110 5.6.1).

    The list may have any length: callers check the fields of a client with
    ``is_overlong`` first.
    """
    return [member for part in value.split(",") if (member := part.strip(" \t"))]


def weights_of(value: str) -> dict[str, float]:
    """What a client wants how much: names in lower case, with their ``q`` (RFC 9110 12.4.2).

    A member with a malformed weight is left out; of a repeated name the last counts.
    An overlong list counts as an empty one.
    """
    if is_overlong(value):
        return {}
    return {name: weight for name, _, weight in _weighted(value)}


def _weighted(value: str) -> Iterator[tuple[str, list[str], float]]:
    """Each member of a list: its name, its parameters other than ``q``, and that."""
    for member in list_of(value):
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        others = []
        weight = 1.0
        for parameter in filter(None, parameters):
            key, _, quality = parameter.partition("=")
            if key.lower() == "q":
                weight = float(quality) if _WEIGHT.fullmatch(quality) else -1.0
            else:
                others.append(parameter)
        if weight >= 0:
            yield name.lower(), others, weight


def http_date(timestamp: float) -> str:
    """Seconds since 1970 as an IMF-fixdate (RFC 9110 5.6.7), or the nearest that it can say."""
    return format_datetime(second_of(timestamp), usegmt=True)


def second_of(timestamp: float) -> datetime:
    """Return the second in UTC that a number of seconds since 1970 is in, or the nearest."""
    return _EPOCH + timedelta(seconds=floor(min(max(timestamp, _FIRST), _LAST)))


def media_type_of(value: str) -> str:
    """``type/subtype`` in lower case, without its parameters (RFC 9110 8.3.1)."""
    return value.partition(";")[0].strip(" \t").lower()


def parameter_of(value: str, name: str) -> str | None:
    """A parameter of a field's value, unquoted, or None (RFC 9110 5.6.6).

    A value of more than a kibibyte has none.
    """
    if len(value) > LONGEST_WITH_PARAMETERS:
        return None
    for match in _PARAMETER.finditer(value):
        if match[1].lower() == name:
            return _QUOTED_PAIR.sub(r"\1", match[2]) if match[2] is not None else match[3]
    return None


def choose_media_type(accept: str | None, offered: Iterable[str]) -> str | None:
    """Of the media types offered, the one that the client likes best (RFC 9110 12.5.1).

    The first where it has no preference, None where it accepts none.
    """
    if accept is None or is_overlong(accept):
        return next(iter(offered), None)
    weights: dict[str, float] = {}
    variants: dict[str, float] = {}
    for name, parameters, wanted in _weighted(accept):
        if parameters:
            variants[name] = max(wanted, variants.get(name, 0.0))
        else:
            weights[name] = wanted
    # A range with parameters is for variants of a type that we do not have. But
    # who names only those, as in "text/html;charset=utf-8", means the type.
    weights = {**variants, **weights}
    best, weight = None, 0.0
    for media_type in offered:
        kind = media_type.partition("/")[0]
        # The most specific range counts, not the heaviest.
        wanted = weights.get(media_type, weights.get(f"{kind}/*", weights.get("*/*", 0.0)))
        if wanted > weight:
            best, weight = media_type, wanted
    return best
