"""Preconditions: whether a request applies to the current representation (RFC 9110 13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from trio_http.semantics.content_coding import ENCODERS, IDENTITY
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.validators import ETag, has_too_many_tags, parse_date, parse_tags

# In lower case, as in ``Headers.names``.
PRECONDITIONS = (
    b"if-match",
    b"if-none-match",
    b"if-modified-since",
    b"if-unmodified-since",
)


class Outcome(Enum):
    """The result of evaluating preconditions."""

    PROCEED = "perform the method"
    NOT_MODIFIED = "send 304: the client already has it"
    FAILED = "send 412: it is not what the client expects"


@dataclass(frozen=True, slots=True)
class State:
    """The validators of a representation: its tags, of which it may have several, and its date."""

    tags: tuple[ETag, ...] = ()
    modified: int | None = None
    exists: bool = True

    @classmethod
    def of(cls, headers: Headers, now: float) -> State:
        """Return the state given by the validators of a response."""
        tag = ETag.parse(headers.get("ETag") or "")
        modified = parse_date(headers.get("Last-Modified") or "", now)
        return cls(() if tag is None else (tag,), modified)

    @classmethod
    def stored(cls, tag: ETag, modified: int) -> State:
        """Return the state of a stored file, whose tag clients may know in any coding."""
        return cls((tag, *map(tag.coded, (*ENCODERS, IDENTITY))), modified)


MISSING = State(exists=False)

# RFC 9110 13.2.1: methods that neither select nor change a representation.
_UNCONDITIONAL = {"CONNECT", "OPTIONS", "TRACE"}


def evaluate(method: str, headers: Headers, state: State, now: float) -> Outcome:
    """Return the outcome of a request's preconditions, in the order of RFC 9110 13.2.2.

    Call this only if the request would succeed without preconditions: a missing file is a 404,
    whatever they say (RFC 9110 13.2.1). Too many tags match nothing if that leads to a full
    response, and otherwise raise ``HTTPError``.
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
    """Return whether the representation has changed for the client, by tag or else date."""
    field = _guard(headers, "If-Match")
    if field is not None:
        return not _matches(field, state, ETag.is_identical)
    # RFC 9110 13.1.4: the field is ignored if either date is missing, even if the file does not
    # exist. ``If-Match: *`` covers that case.
    since = parse_date(headers.get("If-Unmodified-Since") or "", now)
    return since is not None and state.modified is not None and state.modified > since


def _is_known(headers: Headers, state: State, now: float) -> bool:
    """Return whether the client already has the representation, by tag or else date."""
    field = headers.get("If-None-Match")
    if field is not None:
        return _matches(field, state, ETag.is_equivalent)
    since = parse_date(headers.get("If-Modified-Since") or "", now)
    return since is not None and state.modified is not None and state.modified <= since


def _guard(headers: Headers, name: str) -> str | None:
    """Return the value of a field that must not be ignored, or raise 400 for too many tags."""
    field = headers.get(name)
    if field is not None and has_too_many_tags(field):
        raise HTTPError(400, f"too many tags in the field {name}")
    return field


def _matches(field: str, state: State, same: Callable[[ETag, ETag], bool]) -> bool:
    if field.strip(" \t") == "*":
        return state.exists
    # A malformed value matches nothing, so If-Match (RFC 9110 13.1.1) is false and
    # If-None-Match (13.1.2) is true.
    named = parse_tags(field) or ()
    return any(same(one, other) for one in named for other in state.tags)


def range_applies(headers: Headers, state: State, now: float) -> bool:
    """Return whether ``If-Range``, if present, allows a partial response (RFC 9110 13.1.5).

    A date counts only after its second is over (RFC 9110 8.8.2.2), because until then the
    representation can change again and keep the date.
    """
    field = headers.get("If-Range")
    if field is None:
        return True
    tag = ETag.parse(field)
    if tag is not None:
        return any(map(tag.is_identical, state.tags))
    date = parse_date(field, now)
    return date is not None and date == state.modified and date < int(now)
