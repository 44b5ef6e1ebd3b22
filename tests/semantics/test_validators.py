"""Tests of entity tags and HTTP dates."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.field_values import http_date
from trio_http.semantics.headers import text_of
from trio_http.semantics.validators import (
    MOST_TAGS,
    ETag,
    has_too_many_tags,
    parse_date,
    parse_tags,
)


def seconds(*moment: int) -> int:
    year, month, day, hour, minute, second = (*moment, 0, 0, 0)[:6]
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())


NOW = seconds(2026, 11, 20, 12, 30, 15)
EXAMPLE = seconds(1994, 11, 6, 8, 49, 37)
DAY = 24 * 60 * 60

# Values from clients, valid or not: any bytes, any text, and texts that look valid.
TEXTS = st.one_of(
    st.binary().map(text_of),
    st.text(st.characters()),
    st.text(st.sampled_from('"W/, \t\na*')),
    st.from_regex(r"Sun, [0-9]{2} Feb [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"),
    st.from_regex(r"Sunday, [0-9]{2}-Feb-[0-9]{2} [0-2][0-9]:[0-9]{2}:[0-9]{2} GMT"),
    st.from_regex(r"Sun Feb [0-9 ][0-9] [0-2][0-9]:[0-9]{2}:[0-9]{2} [0-9]{4}"),
)
# RFC 9110 8.8.3: etagc, with obs-text as the characters that it decodes to.
TAGS = st.builds(
    ETag,
    st.text(
        st.one_of(
            st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'),
            st.characters(min_codepoint=0x80),
        )
    ),
    st.booleans(),
)
BLANKS = st.text(st.sampled_from(" \t"))


# Entity tags


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"xyzzy"', ETag("xyzzy")),  # 8.8.3: these three are its examples
        ('W/"xyzzy"', ETag("xyzzy", weak=True)),
        ('""', ETag("")),
        ('W/""', ETag("", weak=True)),
        (' \t"a" \t', ETag("a")),  # 5.5: surrounding white space is not part of a value
        ('"a,b"', ETag("a,b")),
        ('"a\\"', ETag("a\\")),  # 8.8.3: a backslash escapes nothing
        ('"!#~"', ETag("!#~")),  # the first and last of etagc
        ('"é\udcff\x80"', ETag("é\udcff\x80")),  # 8.8.3: obs-text, in UTF-8 or not
        ('w/"a"', None),  # 8.8.3: "W/" is case-sensitive
        ('W/ "a"', None),
        ('W"a"', None),
        ("a", None),
        ('"a', None),
        ('a"', None),
        ('"', None),
        ("'a'", None),
        ('"a b"', None),  # 8.8.3: no spaces in a tag
        ('"a\x7f"', None),
        ('"a\x00"', None),
        ('"a"\n', None),
        ('"a""b"', None),
        ('"a", "b"', None),  # two tags are not one
        ("*", None),
        ("", None),
    ],
)
def test_etag_is_parsed_or_none(field: str, expected: ETag | None) -> None:
    assert ETag.parse(field) == expected


@settings(deadline=None)
@given(TAGS)
def test_written_tags_are_parsed_back(tag: ETag) -> None:
    assert ETag.parse(str(tag)) == tag
    assert parse_tags(str(tag)) == [tag]


# RFC 9110 8.8.3.2, the table of examples, and the same with other values.
@pytest.mark.parametrize(
    ("one", "other", "identical", "equivalent"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', 'W/"1"', False, True),
        ('"1"', '"1"', True, True),
        ('"1"', '"2"', False, False),
        ('"a"', '"A"', False, False),  # compared character by character
        ('""', '""', True, True),
    ],
)
def test_tags_are_compared_strongly_and_weakly(
    one: str, other: str, identical: object, equivalent: object
) -> None:
    first, second = ETag.parse(one), ETag.parse(other)
    assert first is not None
    assert second is not None
    assert first.is_identical(second) is identical
    assert first.is_equivalent(second) is equivalent


@pytest.mark.parametrize("tag", [ETag("a"), ETag("a", weak=True)])
def test_each_coding_has_its_own_tag(tag: ETag) -> None:
    # RFC 9110 8.8.3.3: other bytes need another tag; a weak tag stays weak.
    tags = [tag, tag.coded("gzip"), tag.coded("deflate")]
    assert len({each.value for each in tags}) == 3
    assert {each.weak for each in tags} == {tag.weak}
    assert [ETag.parse(str(each)) for each in tags] == tags


# Lists of tags


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"a"', ["a"]),
        ('"xyzzy", "r2d2xxxx", "c3piozzzz"', ["xyzzy", "r2d2xxxx", "c3piozzzz"]),  # 13.1.1
        ('"a","b"', ["a", "b"]),
        ('"a" \t,\t "b"', ["a", "b"]),
        ('"a,b", "c, d"', None),  # a tag may contain a comma, but not a space
        ('"a,b", ",", "c"', ["a,b", ",", "c"]),
        ('"a", "a"', ["a", "a"]),
        ("", []),  # 5.6.1.2: recipients accept empty lists and members
        (" \t", []),
        (",", []),
        (', ,"a",,\t,"b", ,', ["a", "b"]),
        ('"a" "b"', None),
        ('"a""b"', None),
        ('"a"W/"b"', None),
        ('"a", b', None),
        ('"a", "b', None),
        ('"a", w/"b"', None),
        ('"a", *', None),  # 13.1.1: the asterisk stands alone
        ("*", None),
        ("a", None),
        ('"a"\n', None),
        ('"a"\n,"b"', None),
        ('"a",\xa0"b"', None),  # white space in Unicode only
    ],
)
def test_list_of_tags_is_parsed_or_none(field: str, expected: list[str] | None) -> None:
    values = None if expected is None else [ETag(value) for value in expected]
    assert parse_tags(field) == values


def test_list_keeps_weak_tags() -> None:
    # RFC 9110 13.1.2
    assert parse_tags('W/"a", "b",W/"c"') == [ETag("a", weak=True), ETag("b"), ETag("c", weak=True)]


@settings(deadline=None)
@given(st.lists(TAGS), BLANKS, BLANKS, st.integers(1, 3))
def test_written_lists_are_parsed_back(
    tags: list[ETag], before: str, after: str, commas: int
) -> None:
    separator = (before + "," + after) * commas
    assert parse_tags(separator.join(map(str, tags))) == tags
    assert parse_tags(separator + separator.join(map(str, tags)) + separator) == tags


@settings(deadline=None)
@given(TEXTS)
def test_arbitrary_tags_never_raise(text: str) -> None:
    tag, tags = ETag.parse(text), parse_tags(text)
    # A tag is also a list, and a parsed list is parsed equally when written again.
    assert tag is None or tags == [tag]
    assert tags is None or parse_tags(", ".join(map(str, tags))) == tags


# A parser of more than linear time would take hours for these.
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("", '"', ""),
        ("", '"a', ""),
        ("", "W/", '"'),
        ('"', "a", ""),
        ('"a"', " ", "x"),
        ('"a"', ",", "x"),
        ('"a"', " \t,", "x"),
        ('"a",', "\t", '"'),
        ("", ", ", "x"),
        ("", '"a",', "x"),
        ("", '"a" , ', "W/"),
        ("", 'W/"",', "W"),
        ("", '"a,', '"'),
    ],
)
def test_long_malformed_lists_take_linear_time(start: str, repeated: str, end: str) -> None:
    assert parse_tags(start + repeated * 300_001 + end) is None


def test_list_of_too_many_tags_is_none() -> None:
    tags = ['"a"'] * MOST_TAGS
    assert parse_tags(", ".join(tags)) == [ETag("a")] * MOST_TAGS
    assert not has_too_many_tags(", ".join(tags))
    for more in (", ".join([*tags, '"a"']), ", ".join(tags) + ","):
        assert has_too_many_tags(more)
        assert parse_tags(more) is None


# Dates


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        # RFC 9110 5.6.7: its examples, one of each form
        ("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE),
        ("Sun Nov  6 08:49:37 1994", EXAMPLE),
        ("Sun Nov 06 08:49:37 1994", EXAMPLE),  # date3 has two digits, or a space and one digit
        ("Wed Nov 16 08:49:37 1994", EXAMPLE + 10 * DAY),
        (" \tSun, 06 Nov 1994 08:49:37 GMT\t ", EXAMPLE),  # 5.5
        ("Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE),  # a wrong day of the week is ignored
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Mon, 01 Jan 0001 00:00:00 GMT", seconds(1, 1, 1)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", seconds(9999, 12, 31, 23, 59, 59)),
        ("Thu, 29 Feb 2024 12:00:00 GMT", seconds(2024, 2, 29, 12)),
        # time-of-day goes to 23:59:60, for leap seconds
        ("Sat, 31 Dec 2016 23:59:60 GMT", seconds(2016, 12, 31, 23, 59, 59)),
        ("Saturday, 31-Dec-16 23:59:60 GMT", seconds(2016, 12, 31, 23, 59, 59)),
        ("Sat Dec 31 23:59:60 2016", seconds(2016, 12, 31, 23, 59, 59)),
        ("Sat, 31 Dec 2016 23:59:61 GMT", None),
        ("Sat, 31 Dec 2016 23:59:99 GMT", None),
        ("Sat, 31 Dec 2016 23:60:00 GMT", None),
        ("Sat, 31 Dec 2016 24:00:00 GMT", None),
        ("Fri, 32 Dec 2016 00:00:00 GMT", None),
        ("Fri, 00 Dec 2016 00:00:00 GMT", None),
        ("Fri Dec  0 00:00:00 2016", None),
        ("Wed, 29 Feb 2023 12:00:00 GMT", None),
        ("Wednesday, 29-Feb-23 12:00:00 GMT", None),
        ("Sat, 01 Jan 0000 00:00:00 GMT", None),
        # RFC 9110 5.6.7: dates are case-sensitive, and in GMT
        ("sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 NOV 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 gmt", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("Sun, 06 Nov 1994 08:49:37", None),
        ("Sun Nov  6 08:49:37 1994 GMT", None),
        # Almost valid
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun,  6 Nov 1994 08:49:37 GMT", None),
        ("Sun Nov 6 08:49:37 1994", None),
        ("Sun, 06 Nov 94 08:49:37 GMT", None),
        ("Sunday, 06-Nov-1994 08:49:37 GMT", None),
        ("Sunday, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06-Nov-94 08:49:37 GMT", None),
        ("Thuesday, 06-Nov-94 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994  08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 8:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49 GMT", None),
        ("Sun, 06 Abc 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 01994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT\n", None),
        ("Sun, \u0660\u0666 Nov 1994 08:49:37 GMT", None),  # digits, but not ASCII
        ("Sun, 06 Nov 1994 08:49:37 GMT; length=9", None),  # sent by an old browser
        # 13.1.3, 13.1.4: several dates are malformed
        ("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("784111777", None),
        ('"a"', None),
        ("", None),
    ],
)
def test_date_is_parsed_or_none(field: str, expected: int | None) -> None:
    assert parse_date(field, NOW) == expected


# RFC 9110 5.6.7: more than 50 years ahead means the last such year before now.
@pytest.mark.parametrize(
    ("now", "date", "year"),
    [
        (NOW, "20-Nov-26 12:30:15", 2026),
        (NOW, "31-Dec-26 00:00:00", 2026),  # in the future, but less than 50 years
        (NOW, "01-Jan-70 00:00:00", 2070),
        (NOW, "31-Dec-75 23:59:59", 2075),
        (NOW, "20-Nov-76 12:30:15", 2076),  # 50 years to the second
        (NOW, "20-Nov-76 12:30:16", 1976),  # a second more
        (NOW, "31-Dec-76 00:00:00", 1976),  # more than 50 years ahead, by some days
        (NOW, "01-Jan-77 00:00:00", 1977),
        (NOW, "06-Nov-94 08:49:37", 1994),
        (NOW, "01-Jan-00 00:00:00", 2000),
        # At the end of a century, future years belong to the next.
        (seconds(1999, 12, 31, 23, 59, 59), "01-Jan-00 00:00:00", 2000),
        (seconds(2000, 1, 1), "31-Dec-99 23:59:59", 1999),
        (seconds(2080, 1, 1), "01-Jan-30 00:00:00", 2130),
        (seconds(2080, 1, 1), "01-Jan-31 00:00:00", 2031),
        # A leap day
        (seconds(2028, 2, 29), "29-Feb-76 00:00:00", 2076),
        (seconds(2024, 2, 29), "29-Feb-76 00:00:00", 1976),
        (seconds(2050, 1, 15), "29-Feb-00 00:00:00", 2000),
    ],
)
def test_two_digit_year_is_at_most_50_years_ahead(now: int, date: str, year: int) -> None:
    assert parse_date(f"Monday, {date} GMT", now) == parse_date(
        f"Mon, {date[:2]} {date[3:6]} {year} {date[10:]} GMT", now
    )
    assert parse_date(f"Monday, {date} GMT", now) is not None


LONG_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@settings(deadline=None)
@given(st.integers(seconds(1, 1, 1), seconds(9999, 12, 31, 23, 59, 59)))
def test_imf_fixdate_is_parsed_to_the_same_second(moment: int) -> None:
    assert parse_date(http_date(moment), NOW) == moment


@settings(deadline=None)
@given(st.integers(seconds(1, 1, 1), seconds(9999, 12, 31, 23, 59, 59)))
def test_asctime_date_is_parsed_to_the_same_second(moment: int) -> None:
    weekday, day, month, year, time, _ = http_date(moment).split()
    assert parse_date(f"{weekday[:3]} {month} {int(day):2} {time} {year}", NOW) == moment
    assert parse_date(f"{weekday[:3]} {month} {day} {time} {year}", NOW) == moment


@settings(deadline=None)
@given(
    st.integers(seconds(1900, 1, 1), seconds(2200, 1, 1)),
    st.integers(-50 * 365 * DAY, 50 * 365 * DAY),
)
def test_rfc_850_date_is_parsed_within_50_years_of_now(now: int, distance: int) -> None:
    moment = now + distance
    weekday, day, month, year, time, _ = http_date(moment).split()
    (long_day,) = [name for name in LONG_DAYS if name.startswith(weekday[:3])]
    assert parse_date(f"{long_day}, {day}-{month}-{year[2:]} {time} GMT", now) == moment


@settings(deadline=None)
@given(TEXTS, st.floats(0, 4e9))
def test_arbitrary_dates_never_raise(text: str, now: float) -> None:
    moment = parse_date(text, now)
    assert moment is None or parse_date(http_date(moment), now) == moment


@pytest.mark.parametrize("repeated", [" ", "0", "Sun, ", "Sun, 06 Nov 1994 08:49:37 GMT "])
def test_long_malformed_dates_take_linear_time(repeated: str) -> None:
    assert parse_date("Sun, " + repeated * 300_000 + "\n", NOW) is None
