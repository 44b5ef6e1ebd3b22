"""Preconditions: whether a request still applies to what is there (RFC 9110 13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from trio_http.semantics.content_coding import ENCODERS, IDENTITY
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.validators import ETag, has_too_many_tags, parse_date, parse_tags

# In lower case, for ``Headers.has``.
PRECONDITIONS = (
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
)


class Outcome(Enum):
    """What preconditions ask for."""

    PROCEED = "perform the method"
    NOT_MODIFIED = "the client has it already: 304"
    FAILED = "it is not what the client thinks: 412"


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a representation: its tags, where it may have several, and its date."""

    tags: tuple[ETag, ...] = ()
    modified: int | None = None
    exists: bool = True

    @classmethod
    def of(cls, headers: Headers, now: float) -> State:
        """The state that a response tells of itself."""
        tag = ETag.parse(headers.get("ETag") or "")
        modified = parse_date(headers.get("Last-Modified") or "", now)
        return cls(() if tag is None else (tag,), modified)

    @classmethod
    def stored(cls, tag: ETag, modified: int) -> State:
        """Return the state of something stored, which clients may know in any coding."""
        return cls((tag, *map(tag.coded, (*ENCODERS, IDENTITY))), modified)


MISSING = State(exists=False)

# RFC 9110 13.2.1: methods that neither select nor change a representation.
_UNCONDITIONAL = {"CONNECT", "OPTIONS", "TRACE"}


def evaluate(method: str, headers: Headers, state: State, now: float) -> Outcome:
    """The outcome of a request's preconditions, in the order of RFC 9110 13.2.2.

    To be asked only where the request would succeed without them: a file that
    is not there is a 404, whatever they say (RFC 9110 13.2.1). Too many tags match
    nothing where that leads to a full response, and raise ``HTTPError`` elsewhere.
    """
    if method in _UNCONDITIONAL:
        return Outcome.PROCEED
    if _is_another(headers, state, now):
        return Outcome.FAILED
    if method in {"GET", "HEAD"}:
        return Outcome.NOT_MODIFIED if _is_known(headers, state, now) else Outcome.PROCEED
    field = _guard(headers, "If-None-Match")
    if field is not None and _matches(field, state, ETag.is_equivalent):
        return Outcome.FAILED
    return Outcome.PROCEED


def _is_another(headers: Headers, state: State, now: float) -> bool:
    """Whether it has changed since the client saw it, by tag or else by date."""
    field = _guard(headers, "If-Match")
    if field is not None:
        return not _matches(field, state, ETag.is_identical)
    # RFC 9110 13.1.4: without a date on either side, the field is ignored, also
    # where there is nothing yet or any more. ``If-Match: *`` is for that.
    since = parse_date(headers.get("If-Unmodified-Since") or "", now)
    return since is not None and state.modified is not None and state.modified > since


def _is_known(headers: Headers, state: State, now: float) -> bool:
    """Whether the client has it already, by tag or else by date."""
    field = headers.get("If-None-Match")
    if field is not None:
        return _matches(field, state, ETag.is_equivalent)
    since = parse_date(headers.get("If-Modified-Since") or "", now)
    return since is not None and state.modified is not None and state.modified <= since


def _guard(headers: Headers, name: str) -> str | None:
    """Return the value of a field that must not be ignored; too many tags are a 400."""
    field = headers.get(name)
    if field is not None and has_too_many_tags(field):
        raise HTTPError(400, f"too many tags in the field {name}")
    return field


def _matches(field: str, state: State, same: Callable[[ETag, ETag], bool]) -> bool:
    if field.strip(" \t") == "*":
        return state.exists
    # Other values match nothing: RFC 9110 13.1.1 calls that false, 13.1.2 true.
    named = parse_tags(field) or ()
    return any(same(one, other) for one in named for other in state.tags)


def range_applies(headers: Headers, state: State, now: float) -> bool:
    """Whether ``If-Range``, if there is one, lets a range be cut (RFC 9110 13.1.5).

    A date counts only when its second is over (RFC 9110 8.8.2.2): until then,
    what has it now can change once more and keep it.
    """
    field = headers.get("If-Range")
    if field is None:
        return True
    tag = ETag.parse(field)
    if tag is not None:
        return any(map(tag.is_identical, state.tags))
    date = parse_date(field, now)
    return date is not None and date == state.modified and date < int(now)
