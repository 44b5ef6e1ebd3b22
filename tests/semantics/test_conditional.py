"""Tests of preconditions and of If-Range."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.conditional import MISSING, Outcome, State, evaluate, range_applies
from trio_http.semantics.content_coding import ENCODERS
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers, bytes_of, text_of
from trio_http.semantics.validators import MOST_TAGS, ETag

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED

# The example of RFC 9110 5.6.7, and one second earlier and later.
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
MODIFIED = int(datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp())
NOW = MODIFIED + 3600.5

THERE = State((ETag("a"),), MODIFIED)
WEAK = State((ETag("a", weak=True),), MODIFIED)
CODED = State((ETag("a"), ETag("a-gzip")), MODIFIED)
UNTAGGED = State((), MODIFIED)
UNDATED = State((ETag("a"),))
BARE = State()

# Values that match, that do not match, and that are malformed. Any field may be absent.
TAG_FIELDS = st.sampled_from(['"a"', '"b"', 'W/"a"', '"b", "a"', "*", "", '"a', "a", "*, *"])
DATE_FIELDS = st.sampled_from([EARLIER, DATE, LATER, "", "now", f"{DATE}, {DATE}"])
PRECONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "If-Modified-Since": DATE_FIELDS,
        "If-None-Match": TAG_FIELDS,
        "If-Unmodified-Since": DATE_FIELDS,
        "If-Match": TAG_FIELDS,
    },
)
STATES = st.sampled_from([THERE, WEAK, CODED, UNTAGGED, UNDATED, BARE, MISSING])
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "QUERY"])


def headers_with(fields: Mapping[str, str | None]) -> Headers:
    # As received, because ``Headers`` rejects some of these values.
    pairs = fields.items()
    return Headers.received(
        [(bytes_of(name), bytes_of(value)) for name, value in pairs if value is not None]
    )


def outcome(method: str, state: State, fields: Mapping[str, str | None]) -> Outcome:
    return evaluate(method, headers_with(fields), state, NOW)


# The state of a representation


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], BARE),
        ([("ETag", '"a"'), ("Last-Modified", DATE)], THERE),
        ([("etag", 'W/"a"'), ("last-modified", DATE)], WEAK),
        ([("Last-Modified", "Sunday, 06-Nov-94 08:49:37 GMT")], UNTAGGED),
        ([("ETag", '"a"')], UNDATED),
        ([("ETag", "a"), ("Last-Modified", "yesterday")], BARE),  # malformed fields are ignored
        ([("ETag", '"a"'), ("ETag", '"b"'), ("Last-Modified", DATE)], UNTAGGED),
    ],
)
def test_state_comes_from_the_validators_of_a_response(
    fields: list[tuple[str, str]], expected: State
) -> None:
    assert State.of(Headers(fields), NOW) == expected


def test_stored_state_has_a_tag_for_each_coding() -> None:
    state = State.stored(ETag("a"), MODIFIED)
    assert set(state.tags) == {
        ETag("a"),
        *(ETag(f"a-{coding}") for coding in [*ENCODERS, "identity"]),
    }
    assert ETag("a-gzip") in state.tags
    assert state.modified == MODIFIED
    assert state.exists


def test_missing_state_has_no_validators() -> None:
    assert State((), None, exists=False) == MISSING
    assert BARE.exists


# One precondition at a time


# RFC 9110 13.1.1; 412 is the same for every method.
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    ("value", "state", "expected"),
    [
        (None, THERE, PROCEED),
        ("*", THERE, PROCEED),
        ("*", BARE, PROCEED),  # matches any representation, even without tags
        ("*", MISSING, FAILED),
        (" \t* ", THERE, PROCEED),
        ('"a"', THERE, PROCEED),
        ('"b"', THERE, FAILED),
        ('"b", "a"', THERE, PROCEED),
        ('"b", "c"', THERE, FAILED),
        ('"a"', UNTAGGED, FAILED),
        ('"a"', MISSING, FAILED),
        ('W/"a"', THERE, FAILED),  # 13.1.1: the strong comparison
        ('"a"', WEAK, FAILED),
        ('W/"a"', WEAK, FAILED),
        ('"a-gzip"', THERE, FAILED),
        ('"a-gzip"', CODED, PROCEED),
        ('"a"', CODED, PROCEED),
        # 13.1.1: neither an asterisk nor a list with a match, so false
        ("", THERE, FAILED),
        ('"a', THERE, FAILED),
        ("a", THERE, FAILED),
        ('"a", b', THERE, FAILED),
        ('*, "a"', THERE, FAILED),
        ("**", THERE, FAILED),
    ],
)
def test_if_match_fails_unless_a_tag_is_identical(
    method: str, value: str | None, state: State, expected: Outcome
) -> None:
    assert outcome(method, state, {"If-Match": value}) is expected


# RFC 9110 13.1.2
@pytest.mark.parametrize(
    ("value", "state", "holds"),
    [
        (None, THERE, "holds"),
        ("*", THERE, "does not"),
        ("*", BARE, "does not"),
        ("*", MISSING, "holds"),
        (" * \t", THERE, "does not"),
        ('"a"', THERE, "does not"),
        ('"b"', THERE, "holds"),
        ('"b", "a"', THERE, "does not"),
        ('"b", "c"', THERE, "holds"),
        ('"a"', UNTAGGED, "holds"),
        ('"a"', MISSING, "holds"),
        ('W/"a"', THERE, "does not"),  # 13.1.2: the weak comparison
        ('"a"', WEAK, "does not"),
        ('W/"a"', WEAK, "does not"),
        ('"b", W/"a"', WEAK, "does not"),
        ('"a-gzip"', THERE, "holds"),
        ('"a-gzip"', CODED, "does not"),
        # 13.1.2: neither an asterisk nor a list with a match, so true
        ("", THERE, "holds"),
        ('"a', THERE, "holds"),
        ("a", THERE, "holds"),
        ('"a", b', THERE, "holds"),
        ('*, "a"', THERE, "holds"),
    ],
)
def test_if_none_match_fails_if_a_tag_is_equivalent(
    value: str | None, state: State, holds: str
) -> None:
    reads = {outcome(method, state, {"If-None-Match": value}) for method in ("GET", "HEAD")}
    changes = {
        outcome(method, state, {"If-None-Match": value})
        for method in ("PUT", "POST", "PATCH", "DELETE", "QUERY", "get")
    }
    # 13.1.2: 304 for GET and HEAD, 412 for all others; methods are case-sensitive (9.1).
    assert reads == ({PROCEED} if holds == "holds" else {NOT_MODIFIED})
    assert changes == ({PROCEED} if holds == "holds" else {FAILED})


# RFC 9110 13.1.3
@pytest.mark.parametrize(
    ("method", "value", "state", "expected"),
    [
        ("GET", None, THERE, PROCEED),
        ("GET", EARLIER, THERE, PROCEED),
        ("GET", DATE, THERE, NOT_MODIFIED),
        ("GET", LATER, THERE, NOT_MODIFIED),
        ("HEAD", EARLIER, THERE, PROCEED),
        ("HEAD", DATE, THERE, NOT_MODIFIED),
        ("GET", DATE, UNTAGGED, NOT_MODIFIED),
        ("GET", "Sunday, 06-Nov-94 08:49:37 GMT", THERE, NOT_MODIFIED),
        ("GET", "Sun Nov  6 08:49:37 1994", THERE, NOT_MODIFIED),
        # 13.1.3: ignored with any other method,
        ("PUT", DATE, THERE, PROCEED),
        ("POST", LATER, THERE, PROCEED),
        ("DELETE", DATE, THERE, PROCEED),
        # if it is not exactly one date,
        ("GET", "", THERE, PROCEED),
        ("GET", "0", THERE, PROCEED),
        ("GET", '"a"', THERE, PROCEED),
        ("GET", "*", THERE, PROCEED),
        ("GET", f"{DATE}, {LATER}", THERE, PROCEED),
        # and if no date of modification is known.
        ("GET", DATE, UNDATED, PROCEED),
        ("GET", DATE, MISSING, PROCEED),
    ],
)
def test_if_modified_since_gives_not_modified_for_unchanged_files(
    method: str, value: str | None, state: State, expected: Outcome
) -> None:
    assert outcome(method, state, {"If-Modified-Since": value}) is expected


# RFC 9110 13.1.4; 412 is the same for every method.
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    ("value", "state", "expected"),
    [
        (None, THERE, PROCEED),
        (EARLIER, THERE, FAILED),
        (DATE, THERE, PROCEED),
        (LATER, THERE, PROCEED),
        (EARLIER, UNTAGGED, FAILED),
        ("Sunday, 06-Nov-94 08:49:36 GMT", THERE, FAILED),
        ("Sun Nov  6 08:49:36 1994", THERE, FAILED),
        # 13.1.4: ignored if it is not exactly one date,
        ("", THERE, PROCEED),
        ("0", THERE, PROCEED),
        ("*", THERE, PROCEED),
        (f"{EARLIER}, {EARLIER}", THERE, PROCEED),
        # and if no date of modification is known.
        (EARLIER, UNDATED, PROCEED),
        (EARLIER, MISSING, PROCEED),
    ],
)
def test_if_unmodified_since_fails_for_changed_files(
    method: str, value: str | None, state: State, expected: Outcome
) -> None:
    assert outcome(method, state, {"If-Unmodified-Since": value}) is expected


MANY = ", ".join(['"a"'] * (MOST_TAGS + 1))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_too_many_tags_in_a_read_match_nothing(method: str) -> None:
    # A full response is right for every client, and a date beside tags is ignored (13.1.3).
    assert outcome(method, THERE, {"If-None-Match": MANY, "If-Modified-Since": DATE}) is PROCEED


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("GET", "If-Match"),
        ("HEAD", "If-Match"),
        ("PUT", "If-Match"),
        ("PUT", "If-None-Match"),
        ("DELETE", "If-None-Match"),
    ],
)
@pytest.mark.parametrize("state", [THERE, MISSING])
def test_too_many_tags_that_guard_a_change_raise_400(method: str, name: str, state: State) -> None:
    with pytest.raises(HTTPError, match=name) as refusal:
        outcome(method, state, {name: MANY})
    assert refusal.value.status == 400


def test_repeated_fields_are_one_list() -> None:
    # RFC 9110 5.3
    lines = [("If-None-Match", '"b"'), ("if-none-match", '"a"')]
    assert evaluate("GET", Headers(lines), THERE, NOW) is NOT_MODIFIED
    lines = [("If-Match", '"b"'), ("If-Match", '"c"')]
    assert evaluate("PUT", Headers(lines), THERE, NOW) is FAILED
    # 13.1.3, 13.1.4: a list of dates is not a date.
    lines = [("If-Modified-Since", DATE), ("If-Modified-Since", DATE)]
    assert evaluate("GET", Headers(lines), THERE, NOW) is PROCEED
    lines = [("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", EARLIER)]
    assert evaluate("PUT", Headers(lines), THERE, NOW) is PROCEED


# Several preconditions, and their order


# RFC 9110 13.2.2, by the numbers of its steps
@pytest.mark.parametrize(
    ("method", "fields", "expected"),
    [
        # 1, true: continue with 3, skipping 2
        ("PUT", {"If-Match": '"a"', "If-Unmodified-Since": EARLIER}, PROCEED),
        ("PUT", {"If-Match": '"a"', "If-None-Match": '"a"'}, FAILED),
        ("GET", {"If-Match": '"a"', "If-None-Match": '"a"'}, NOT_MODIFIED),
        ("GET", {"If-Match": '"a"', "If-Modified-Since": DATE}, NOT_MODIFIED),
        # 1, false: 412, without further steps
        ("PUT", {"If-Match": '"b"', "If-Unmodified-Since": LATER}, FAILED),
        ("GET", {"If-Match": '"b"', "If-None-Match": '"a"'}, FAILED),
        ("GET", {"If-Match": '"b"', "If-Modified-Since": LATER}, FAILED),
        # 2, true: continue with 3
        ("PUT", {"If-Unmodified-Since": DATE, "If-None-Match": '"a"'}, FAILED),
        ("GET", {"If-Unmodified-Since": DATE, "If-None-Match": '"a"'}, NOT_MODIFIED),
        ("GET", {"If-Unmodified-Since": DATE, "If-Modified-Since": DATE}, NOT_MODIFIED),
        ("GET", {"If-Unmodified-Since": DATE, "If-Modified-Since": EARLIER}, PROCEED),
        # 2, false: 412
        ("GET", {"If-Unmodified-Since": EARLIER, "If-None-Match": '"a"'}, FAILED),
        ("GET", {"If-Unmodified-Since": EARLIER, "If-Modified-Since": LATER}, FAILED),
        # 3, true: step 4 is skipped
        ("GET", {"If-None-Match": '"b"', "If-Modified-Since": LATER}, PROCEED),
        ("HEAD", {"If-None-Match": '"b"', "If-Modified-Since": DATE}, PROCEED),
        ("GET", {"If-None-Match": "wrong", "If-Modified-Since": DATE}, PROCEED),
        # 3, false
        ("GET", {"If-None-Match": '"a"', "If-Modified-Since": EARLIER}, NOT_MODIFIED),
        ("PUT", {"If-None-Match": '"a"', "If-Modified-Since": EARLIER}, FAILED),
        # 5 is evaluated elsewhere: a range does not change the outcome.
        ("GET", {"Range": "bytes=0-1", "If-Range": '"b"'}, PROCEED),
        ("GET", {"Range": "bytes=0-1", "If-Range": '"b"', "If-None-Match": '"a"'}, NOT_MODIFIED),
    ],
)
def test_preconditions_are_evaluated_in_the_order_of_the_rfc(
    method: str, fields: dict[str, str], expected: Outcome
) -> None:
    assert evaluate(method, Headers(fields), THERE, NOW) is expected


@settings(deadline=None)
@given(METHODS, STATES, PRECONDITIONS, TAG_FIELDS, DATE_FIELDS)
def test_if_match_replaces_if_unmodified_since(
    method: str, state: State, rest: dict[str, str], match: str, since: str
) -> None:
    # RFC 9110 13.1.4
    rest = {name: value for name, value in rest.items() if name != "If-Unmodified-Since"}
    alone = rest | {"If-Match": match}
    both = alone | {"If-Unmodified-Since": since}
    assert outcome(method, state, both) is outcome(method, state, alone)


@settings(deadline=None)
@given(METHODS, STATES, PRECONDITIONS, TAG_FIELDS, DATE_FIELDS)
def test_if_none_match_replaces_if_modified_since(
    method: str, state: State, rest: dict[str, str], match: str, since: str
) -> None:
    # RFC 9110 13.1.3
    rest = {name: value for name, value in rest.items() if name != "If-Modified-Since"}
    alone = rest | {"If-None-Match": match}
    both = alone | {"If-Modified-Since": since}
    assert outcome(method, state, both) is outcome(method, state, alone)


@settings(deadline=None)
@given(METHODS, STATES, PRECONDITIONS)
def test_only_get_and_head_get_not_modified(
    method: str, state: State, fields: dict[str, str]
) -> None:
    # RFC 9110 13.1.2, 13.1.3
    told = outcome(method, state, fields)
    assert told is not NOT_MODIFIED or method in {"GET", "HEAD"}


@settings(deadline=None)
@given(st.sampled_from(["CONNECT", "OPTIONS", "TRACE"]), STATES, PRECONDITIONS)
def test_connect_options_and_trace_ignore_preconditions(
    method: str, state: State, fields: dict[str, str]
) -> None:
    # RFC 9110 13.2.1
    assert outcome(method, state, fields) is PROCEED


@settings(deadline=None)
@given(st.binary(), STATES, METHODS)
def test_arbitrary_values_never_raise(value: bytes, state: State, method: str) -> None:
    text = text_of(value)
    for name in ("If-Match", "If-Unmodified-Since", "If-None-Match", "If-Modified-Since"):
        assert outcome(method, state, {name: text}) in Outcome
    assert range_applies(headers_with({"If-Range": text}), MISSING, NOW) is False


# If-Range


# RFC 9110 13.1.5
@pytest.mark.parametrize(
    ("value", "state", "answer"),
    [
        (None, THERE, "applies"),
        (None, BARE, "applies"),
        ('"a"', THERE, "applies"),
        (' "a"\t', THERE, "applies"),
        ('"b"', THERE, "does not"),
        ('"a"', UNTAGGED, "does not"),
        ('"a-gzip"', CODED, "applies"),
        ('W/"a"', THERE, "does not"),  # the strong comparison
        ('"a"', WEAK, "does not"),
        ('W/"a"', WEAK, "does not"),
        # A date must be equal, not merely later.
        (DATE, THERE, "applies"),
        (DATE, UNTAGGED, "applies"),
        ("Sunday, 06-Nov-94 08:49:37 GMT", THERE, "applies"),
        (EARLIER, THERE, "does not"),
        (LATER, THERE, "does not"),
        (DATE, UNDATED, "does not"),
        # If-Range is a single entity-tag or HTTP-date.
        ('"a", "b"', THERE, "does not"),
        (f"{DATE}, {DATE}", THERE, "does not"),
        ("*", THERE, "does not"),
        ('"a', THERE, "does not"),
        ("a", THERE, "does not"),
        ("", THERE, "does not"),
    ],
)
def test_if_range_applies_if_the_validator_is_identical(
    value: str | None, state: State, answer: str
) -> None:
    assert range_applies(headers_with({"If-Range": value}), state, NOW) is (answer == "applies")


@pytest.mark.parametrize(
    ("now", "answer"),
    [
        (MODIFIED + 1, "applies"),
        (MODIFIED + 1.5, "applies"),
        # 8.8.2.2: within that second it may change again and keep its date,
        (MODIFIED, "does not"),
        (MODIFIED + 0.999, "does not"),
        # and a clock that was set back proves nothing.
        (MODIFIED - 3600, "does not"),
    ],
)
def test_if_range_date_counts_only_after_its_second(now: float, answer: str) -> None:
    headers = Headers({"If-Range": DATE})
    assert range_applies(headers, UNTAGGED, now) is (answer == "applies")


def test_two_digit_years_are_relative_to_now() -> None:
    # RFC 9110 5.6.7: in the year 2090, this date is one of 2094.
    short = "Sunday, 06-Nov-94 08:49:37 GMT"
    then = datetime(2094, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()
    state = replace(UNTAGGED, modified=int(then))
    soon, late = then - 4 * 365 * 86400, then + 86400
    assert State.of(Headers({"Last-Modified": short}), soon) == state
    assert evaluate("GET", Headers({"If-Modified-Since": short}), state, soon) is NOT_MODIFIED
    later = replace(UNTAGGED, modified=int(then) + 1)
    assert evaluate("PUT", Headers({"If-Unmodified-Since": short}), later, soon) is FAILED
    assert range_applies(Headers({"If-Range": short}), state, late)
    assert not range_applies(Headers({"If-Range": short}), state, NOW)
