"""Tests of lists, weights, dates, media types and parameters in field values."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.field_values import (
    LONGEST_LIST,
    LONGEST_WITH_PARAMETERS,
    MOST_SEPARATORS,
    choose_media_type,
    http_date,
    is_overlong,
    list_of,
    media_type_of,
    parameter_of,
    second_of,
    weights_of,
)

# Text of characters with a meaning in fields, on which parsers fail.
FIELD_TEXT = st.text(st.sampled_from('aQq=;, \t.019*/"\\é\u0130\u0660\ud800'))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a , b,\tc ", ["a", "b", "c"]),
        ("", []),
        (" ", []),
        (",", []),
        (", a,, ,b,", ["a", "b"]),  # RFC 9110 5.6.1.2: empty members are ignored
        ("a b", ["a b"]),  # spaces do not separate members
        ("a\xa0,b", ["a\xa0", "b"]),  # only SP and HTAB are white space
    ],
)
def test_list_of_returns_the_members(value: str, expected: list[str]) -> None:
    assert list_of(value) == expected


@pytest.mark.parametrize(
    ("value", "overlong"),
    [
        ("", False),
        ("a," * MOST_SEPARATORS, False),
        ("a," * MOST_SEPARATORS + ",", True),  # empty members also take time
        ("a;" * MOST_SEPARATORS + ",", True),  # and so do parameters
        ("a" * LONGEST_LIST, False),
        ("a" * (LONGEST_LIST + 1), True),
    ],
)
def test_lists_above_the_limits_are_overlong(value: str, overlong: object) -> None:
    assert is_overlong(value) is overlong


# The Accept fields of Firefox for an image in a page, and of Word for a page.
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
WORD = (
    "image/gif, image/jpeg, image/pjpeg, application/x-ms-application, application/xaml+xml, "
    "application/x-ms-xbap, application/vnd.ms-excel, application/vnd.ms-powerpoint, "
    "application/msword, */*"
)


@pytest.mark.parametrize("value", [FIREFOX, WORD])
def test_ten_times_the_fields_of_real_clients_are_not_overlong(value: str) -> None:
    assert not is_overlong(", ".join([value] * 10))


def test_overlong_list_is_ignored() -> None:
    overlong = "a, " * MOST_SEPARATORS + "a;q=0, */*;q=0"
    assert weights_of(overlong) == {}
    assert choose_media_type(overlong, ["a/b", "c/d"]) == "a/b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gzip", {"gzip": 1.0}),
        ("gzip;q=0.5, br", {"gzip": 0.5, "br": 1.0}),
        ("gzip ; q=0.5 ,*;q=0", {"gzip": 0.5, "*": 0.0}),
        ("GZip;Q=0.5", {"gzip": 0.5}),  # RFC 9110 5.6.6: names of parameters have no case
        ("", {}),
        (", ,", {}),
        ("a;q=1", {"a": 1.0}),
        ("a;q=1.000", {"a": 1.0}),
        ("a;q=0.001", {"a": 0.001}),
        # RFC 9110 12.4.2: the digits after the point are optional
        ("a;q=0., b;q=1.", {"a": 0.0, "b": 1.0}),
        ("a;q=0, b;q=0.000", {"a": 0.0, "b": 0.0}),
        ("text/html;level=1;q=0.4", {"text/html": 0.4}),
        ("text/html;q=0.4;level=1", {"text/html": 0.4}),
        ("a;x", {"a": 1.0}),  # a parameter without a value
        ("a;", {"a": 1.0}),
        # Malformed by 12.4.2, so the member is ignored.
        ("a;q=", {}),
        ("a;q", {}),
        ("a;q=1.1", {}),
        ("a;q=2", {}),
        ("a;q=-1", {}),
        ("a;q=.5", {}),
        ("a;q=0.1234", {}),
        ("a;q=1.001", {}),
        ("a;q=1e0", {}),
        ("a;q=nan, b", {"b": 1.0}),
        ("a;q=inf", {}),
        ('a;q="1"', {}),
        ("a;q=0.\u0661", {}),  # a digit, but not in ASCII
        ("a;q=0.5, a;q=0.7", {"a": 0.7}),
        ("a, A;q=0", {"a": 0.0}),
    ],
)
def test_weights_of_returns_names_and_weights(value: str, expected: dict[str, float]) -> None:
    assert weights_of(value) == expected


@settings(deadline=None)
@given(FIELD_TEXT | st.text())
def test_arbitrary_values_never_raise(value: str) -> None:
    for member in list_of(value):
        assert member == member.strip(" \t") != ""
        assert "," not in member
    for name, weight in weights_of(value).items():
        assert 0 <= weight <= 1
        assert name == name.strip(" \t")
    assert ";" not in media_type_of(value)
    assert choose_media_type(value, ["a/a", "a/q"]) in {"a/a", "a/q", None}
    assert isinstance(parameter_of(f"a;{value}", "q"), str | None)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9*+/\-]+", fullmatch=True),
        st.integers(0, 1000),
    ),
    st.sampled_from([",", ", ", " ,\t", ",,"]),
    st.sampled_from([";q=", "; q=", " ;\tQ="]),
)
def test_written_weights_are_parsed_back(
    thousandths: dict[str, int], comma: str, parameter: str
) -> None:
    value = comma.join(f"{name}{parameter}{q / 1000:.3f}" for name, q in thousandths.items())
    assert weights_of(value) == {name: q / 1000 for name, q in thousandths.items()}


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),  # the example of RFC 9110 5.6.7
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777.999, "Sun, 06 Nov 1994 08:49:37 GMT"),  # rounded down
        (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"),  # always four digits
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (253402300799.999, "Fri, 31 Dec 9999 23:59:59 GMT"),
        # Some file systems store times that a field cannot express.
        (253402300800, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (2.0**63, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (math.inf, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62135596801, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (-(2**63), "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_http_date_formats_seconds_since_1970(timestamp: float, expected: str) -> None:
    assert http_date(timestamp) == expected


LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


@settings(deadline=None)
@given(st.integers(0, LAST_SECOND))
def test_http_date_is_exact_to_the_second(timestamp: int) -> None:
    text = http_date(timestamp)
    assert len(text) == len("Sun, 06 Nov 1994 08:49:37 GMT")
    date = parsedate_to_datetime(text)
    assert date.timestamp() == timestamp
    assert text.startswith(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[date.weekday()])


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1.5, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (-0.5, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1e18, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),  # stored by some file systems
        (-1e18, datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_second_of_returns_the_nearest_valid_second(timestamp: float, expected: datetime) -> None:
    assert second_of(timestamp) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/html", "text/html"),
        ("Text/HTML; Charset=UTF-8", "text/html"),
        (" text/html ;charset=utf-8", "text/html"),
        ("", ""),
        (";", ""),
        ("html", "html"),  # malformed, and not a registered type
    ],
)
def test_media_type_of_returns_type_and_subtype(value: str, expected: str) -> None:
    assert media_type_of(value) == expected


# Parameters


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/plain; charset=utf-8", "utf-8"),
        ("text/plain;charset=utf-8", "utf-8"),
        ("text/plain ; \tCharset=UTF-8", "UTF-8"),  # RFC 9110 5.6.6: names have no case
        ("text/plain; a=b; charset=utf-8; c=d", "utf-8"),
        ('text/plain; charset="utf-8"', "utf-8"),
        (r'text/plain; charset="a\"b\\c\d"', 'a"b\\cd'),  # 5.6.4
        ('text/plain; charset="a;b,c d"', "a;b,c d"),
        ('text/plain; charset=""', ""),
        ("text/plain; charset=", ""),
        ("text/plain; charset=a; charset=b", "a"),
        ("text/plain; charset=a=b", "a=b"),
        # Inside the quoted value of another parameter
        ('text/plain; a="; charset=evil"; charset=utf-8', "utf-8"),
        (r'text/plain; a="\"; charset=evil"; charset=utf-8', "utf-8"),
        ("text/plain; xcharset=a", None),
        ("text/plain; charset", None),
        ("text/plain; charset = utf-8", None),  # 5.6.6: no spaces around the equals sign
        ("charset=utf-8", None),  # not a parameter, but the value itself
        ("text/plain", None),
        ("", None),
        # Malformed: any result will do, but it must be quick.
        ('text/plain; charset="utf-8', ""),
        ('text/plain; a="; charset=utf-8', "utf-8"),
    ],
)
def test_parameter_of_returns_the_unquoted_value(value: str, expected: str | None) -> None:
    assert parameter_of(value, "charset") == expected


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\n")))
def test_arbitrary_text_is_a_quoted_parameter(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parameter_of(f'x; a="{quoted}"; b=c', "a") == text
    assert parameter_of(f'x; a="{quoted}"; b=c', "b") == "c"


def test_too_long_value_has_no_parameters() -> None:
    value = "a; b=c; "
    assert parameter_of(value + "x" * (LONGEST_WITH_PARAMETERS - len(value)), "b") == "c"
    assert parameter_of(value + "x" * (LONGEST_WITH_PARAMETERS - len(value) + 1), "b") is None


# Choosing a media type

# RFC 9110 12.5.1, the example in which the most specific range counts.
RANGES = (
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
    "text/plain;format=fixed;q=0.4, */*;q=0.5"
)


@pytest.mark.parametrize(
    ("accept", "offered", "expected"),
    [
        (None, ["text/plain", "text/html"], "text/plain"),  # anything is acceptable
        (None, [], None),
        ("*/*", ["text/plain", "text/html"], "text/plain"),
        ("*/*", [], None),
        ("", ["text/plain"], None),
        ("text/html", ["text/plain", "text/html"], "text/html"),
        ("TEXT/HTML", ["text/plain", "text/html"], "text/html"),  # 8.3.1: types have no case
        ("text/*", ["image/png", "text/html", "text/plain"], "text/html"),
        ("image/*", ["text/plain", "text/html"], None),
        ("text/html;q=0.5, text/plain;q=0.4", ["text/plain", "text/html"], "text/html"),
        ("text/html, text/plain", ["text/plain", "text/html"], "text/plain"),  # equal weights
        ("text/html;q=0, */*", ["text/html", "text/plain"], "text/plain"),
        ("text/html;q=0, */*", ["text/html"], None),
        ("text/*;q=0, */*;q=0.1", ["text/html", "image/png"], "image/png"),
        ("*/*;q=0", ["text/html"], None),
        # A more specific range counts even if its weight is smaller.
        ("text/html;q=0.1, text/*, */*", ["text/html", "text/plain"], "text/plain"),
        ("text/*;q=0.1, */*", ["text/plain", "image/png"], "image/png"),
        (RANGES, ["text/html", "image/jpeg"], "image/jpeg"),  # 0.3 and 0.5
        (RANGES, ["image/jpeg", "text/plain"], "text/plain"),  # 0.5 and 0.7
        # A client that names a type only with parameters means the type.
        ("text/html;charset=utf-8", ["text/plain", "text/html"], "text/html"),
        (
            "text/html;level=1;q=0.2, text/html;level=2;q=0.4, */*;q=0.3",
            ["a/b", "text/html"],
            "text/html",
        ),
        (
            "text/html;level=2;q=0.4, text/html;level=1;q=0.2, */*;q=0.3",
            ["a/b", "text/html"],
            "text/html",
        ),
        ("text/html;level=1, text/html;q=0.2, */*;q=0.3", ["a/b", "text/html"], "a/b"),
        ("text/html;q=0.2, text/html;level=1, */*;q=0.3", ["a/b", "text/html"], "a/b"),
        ("text/html;", ["text/html"], "text/html"),
        ("text/html;q=2, */*;q=0.1", ["text/html"], "text/html"),  # malformed, so ignored
        ("text/html;q=2", ["text/html"], None),
        ("text", ["text/html"], None),
        ("*", ["text/html"], None),  # sent by some clients, but not a media range
        ("*/html", ["text/html"], None),
    ],
)
def test_choose_media_type_follows_accept(
    accept: str | None, offered: list[str], expected: str | None
) -> None:
    assert choose_media_type(accept, offered) == expected
    assert choose_media_type(accept, iter(offered)) == expected


TYPES = ["a/a", "a/b", "b/b"]


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*TYPES, "a/*", "*/*"]), st.integers(0, 1000)),
    st.lists(st.sampled_from(TYPES), unique=True),
)
def test_chosen_media_type_has_the_largest_weight(
    thousandths: dict[str, int], offered: list[str]
) -> None:
    value = ", ".join(f"{name};q={q / 1000:.3f}" for name, q in thousandths.items())

    def liked(media_type: str) -> int:
        ranges = [media_type, media_type[0] + "/*", "*/*"]
        return next((thousandths[name] for name in ranges if name in thousandths), 0)

    choice = choose_media_type(value, offered)
    best = max(map(liked, offered), default=0)
    if choice is None:
        assert best == 0
    else:
        assert liked(choice) == best > 0
        assert choice == next(one for one in offered if liked(one) == best)
