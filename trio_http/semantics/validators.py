"""Entity tags and HTTP dates: how two states of a representation are told apart (RFC 9110 8.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

# RFC 9110 8.8.3. Nothing that is repeated can match what follows it, so there is one
# way to read any text, and a mismatch takes time in proportion to its length.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"')
_TAG_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|\Z))*")

# A browser has one version of a representation, a cache a few, and a client that keeps
# all versions some dozens.
MOST_TAGS = 200  # tags in a list

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# RFC 9110 5.6.7: the one that is sent, and the two that have to be understood.
_DATES = (
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


@dataclass(frozen=True, slots=True)
class ETag:
    """An opaque validator; ``weak`` ones promise equivalence, not identity."""

    value: str
    weak: bool = False

    @classmethod
    def parse(cls, field: str) -> ETag | None:
        """A tag as a field gives it, or None where it is malformed."""
        match = _TAG.fullmatch(field.strip(" \t"))
        return cls(match[2], match[1] is not None) if match else None

    def __str__(self) -> str:
        return f'W/"{self.value}"' if self.weak else f'"{self.value}"'

    def is_identical(self, other: ETag) -> bool:
        """The strong comparison: the same bytes (RFC 9110 8.8.3.2)."""
        return not self.weak and not other.weak and self.value == other.value

    def is_equivalent(self, other: ETag) -> bool:
        """The weak comparison: as good as the same."""
        return self.value == other.value

    def coded(self, coding: str) -> ETag:
        """The tag of the same representation in a content coding: other bytes, another tag."""
        return ETag(f"{self.value}-{coding}", self.weak)


def has_too_many_tags(field: str) -> bool:
    """Return whether a list has too many tags to be compared.

    Commas are counted, so hundreds of commas inside or between a few tags are too many.
    """
    return field.count(",") >= MOST_TAGS


def parse_tags(field: str) -> list[ETag] | None:
    """A list of tags, or None where one of them is malformed or there are too many.

    Tags may hold commas.
    """
    if has_too_many_tags(field) or not _TAG_LIST.fullmatch(field):
        return None
    return [ETag(match[2], match[1] is not None) for match in _TAG.finditer(field)]


def parse_date(field: str, now: float) -> int | None:
    """Seconds since 1970 of a date in any of the three forms, or None for no such date.

    Of the years that two digits can mean, it is the last one that puts the date
    at most 50 years after ``now`` (RFC 9110 5.6.7).
    """
    text = field.strip(" \t")
    match = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if match is None:
        return None
    month = _MONTHS.index(match["month"]) + 1
    day, hour, minute, second = map(int, match.group("day", "hour", "minute", "second"))
    if second == 60:  # a leap second, which time in seconds since 1970 does not have
        second = 59
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _whole_year(year, (month, day, hour, minute, second), now)
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _whole_year(digits: int, rest: tuple[int, ...], now: float) -> int:
    moment = datetime.fromtimestamp(now, UTC).timetuple()[:6]
    latest = moment[0] + 50
    year = latest - (latest - digits) % 100
    return year if (year - 50, *rest) <= moment else year - 100
