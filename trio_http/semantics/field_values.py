"""Parsers for structured field values: lists with weights, dates and media types.

Each follows the syntax in RFC 9110. A malformed value from a client counts as absent and is
never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import floor

# Reading one member or parameter of a list takes a microsecond; a plain request takes a
# hundred. Browsers send a dozen members with a weight each, word processors twice as many, and
# many servers limit all header fields together to 8 KiB.
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
# The first and the last second that a four-digit year can express. Some file systems store
# times far outside, and one odd file must not cause a 500.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799


def is_overlong(value: str) -> bool:
    """Return whether a list from a client is too long to be parsed.

    An overlong list counts as absent. If ignoring the field would be wrong, because it guards a
    change, the request is rejected instead.
    """
    return len(value) > MOST_SEPARATORS and (
        len(value) > LONGEST_LIST or value.count(",") + value.count(";") > MOST_SEPARATORS
    )


def list_of(value: str) -> list[str]:
    """Return the non-empty members of a comma-separated list of tokens (RFC 9110 5.6.1).

    The length is not limited: callers check the fields of a client with ``is_overlong`` first.
    """
    return [member for part in value.split(",") if (member := part.strip(" \t"))]


def weights_of(value: str) -> dict[str, float]:
    """Return the names in a list, in lower case, with their weights ``q`` (RFC 9110 12.4.2).

    A member with a malformed weight is left out; the last weight of a repeated name counts. An
    overlong list counts as empty.
    """
    if is_overlong(value):
        return {}
    return {name: weight for name, _, weight in _weighted(value)}


def _weighted(value: str) -> Iterator[tuple[str, list[str], float]]:
    """Yield each member's name, its parameters other than ``q``, and its weight."""
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
    """Return seconds since 1970 as an IMF-fixdate (RFC 9110 5.6.7), or the nearest valid date."""
    return format_datetime(second_of(timestamp), usegmt=True)


def second_of(timestamp: float) -> datetime:
    """Return the second (UTC) that contains a time in seconds since 1970, or the nearest one."""
    return _EPOCH + timedelta(seconds=floor(min(max(timestamp, _FIRST), _LAST)))


def media_type_of(value: str) -> str:
    """Return ``type/subtype`` in lower case, without parameters (RFC 9110 8.3.1)."""
    return value.partition(";")[0].strip(" \t").lower()


def parameter_of(value: str, name: str) -> str | None:
    """Return a parameter of a field value, unquoted, or None (RFC 9110 5.6.6).

    Values above ``LONGEST_WITH_PARAMETERS`` count as having none.
    """
    if len(value) > LONGEST_WITH_PARAMETERS:
        return None
    for match in _PARAMETER.finditer(value):
        if match[1].lower() == name:
            return _QUOTED_PAIR.sub(r"\1", match[2]) if match[2] is not None else match[3]
    return None


def choose_media_type(accept: str | None, offered: Iterable[str]) -> str | None:
    """Return the offered media type that the client prefers (RFC 9110 12.5.1).

    This is the first if the client has no preference, and None if it accepts none.
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
    # A range with parameters asks for a variant of a type, which the server does not have. But
    # a client that names only variants, such as "text/html;charset=utf-8", means the type.
    weights = {**variants, **weights}
    best, weight = None, 0.0
    for media_type in offered:
        kind = media_type.partition("/")[0]
        # The most specific range counts, not the one with the largest weight.
        wanted = weights.get(media_type, weights.get(f"{kind}/*", weights.get("*/*", 0.0)))
        if wanted > weight:
            best, weight = media_type, wanted
    return best
