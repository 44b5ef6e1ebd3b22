"""Entity tags and HTTP dates, which tell apart states of a representation (RFC 9110 8.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

# RFC 9110 8.8.3. No repeated part can match the part after it, so any text can be read in one
# way only, and a mismatch takes linear time.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"')
_TAG_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|\Z))*")

# A browser has one version of a representation, a cache a few, and a client that keeps all
# versions some dozens.
MOST_TAGS = 200  # tags in a list

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# RFC 9110 5.6.7: the format to send, and two obsolete ones that must be understood.
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
        """Parse a tag in the syntax of a field; return None if it is malformed."""
        match = _TAG.fullmatch(field.strip(" \t"))
        return cls(match[2], match[1] is not None) if match else None

    def __str__(self) -> str:
        return f'W/"{self.value}"' if self.weak else f'"{self.value}"'

    def is_identical(self, other: ETag) -> bool:
        """Compare strongly: both tags mean the same bytes (RFC 9110 8.8.3.2)."""
        return not self.weak and not other.weak and self.value == other.value

    def is_equivalent(self, other: ETag) -> bool:
        """Compare weakly: both tags mean equivalent content."""
        return self.value == other.value

    def coded(self, coding: str) -> ETag:
        """Return the tag of the same representation in a content coding, whose bytes differ."""
        return ETag(f"{self.value}-{coding}", self.weak)


def has_too_many_tags(field: str) -> bool:
    """Return whether a list has too many tags to be compared.

    Commas are counted, so hundreds of commas inside or between a few tags are also too many.
    """
    return field.count(",") >= MOST_TAGS


def parse_tags(field: str) -> list[ETag] | None:
    """Return the tags of a list, or None if it is malformed or has too many.

    Tags may contain commas.
    """
    if has_too_many_tags(field) or not _TAG_LIST.fullmatch(field):
        return None
    return [ETag(match[2], match[1] is not None) for match in _TAG.finditer(field)]


def parse_date(field: str, now: float) -> int | None:
    """Return a date in any of the three formats as seconds since 1970, or None if malformed.

    A two-digit year means the last possible year that puts the date at most 50 years after
    ``now`` (RFC 9110 5.6.7).
    """
    text = field.strip(" \t")
    match = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if match is None:
        return None
    month = _MONTHS.index(match["month"]) + 1
    day, hour, minute, second = map(int, match.group("day", "hour", "minute", "second"))
    if second == 60:  # a leap second, which does not exist in Unix time
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
