"""Tests of header fields as bytes and as text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.headers import KEPT, NO_FIELDS, Headers, bytes_of, text_of

NAMES = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", fullmatch=True)
# Bytes that may begin and end a value; spaces and tabs may occur only between them.
EDGES = [*range(0x21, 0x7F), *range(0x80, 0x100)]
VALUES = st.one_of(
    st.just(b""),
    st.builds(
        lambda first, middle, last: bytes([first, *middle, last]),
        st.sampled_from(EDGES),
        st.lists(st.sampled_from([0x09, 0x20, *EDGES])),
        st.sampled_from(EDGES),
    ),
)

COOKIES = Headers([("Set-Cookie", "a=1"), ("Host", "here"), ("set-cookie", "b=2")])


# Text and bytes


@settings(deadline=None)
@given(st.binary())
def test_arbitrary_bytes_survive_as_text(raw: bytes) -> None:
    assert bytes_of(text_of(raw)) == raw


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_text_is_utf_8(text: str) -> None:
    assert bytes_of(text) == text.encode("utf-8")
    assert text_of(text.encode("utf-8")) == text


# Making


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "a\n", "a\0", "(a)", "é", "\ud800"])
def test_name_that_is_not_a_token_raises_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"field name|surrogates"):
        Headers([(name, "value")])


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nSet-Cookie: b",
        "a\nb",
        "a\rb",
        "a\n",
        "a\0b",
        "a\x7fb",
        "a\x1bb",
        " a",  # RFC 9110 5.5: surrounding white space is not part of a value
        "a\t",
        " ",
        "\ud800",  # not representable as bytes
    ],
)
def test_value_that_a_line_cannot_carry_raises_value_error(value: str) -> None:
    with pytest.raises(ValueError, match=r"field value, for X-Name|surrogates"):
        Headers({"X-Name": value})


@pytest.mark.parametrize("value", ["", "a", "a b", "a \t b", "é", "(a), (b)", '"\\""'])
def test_valid_values_are_kept_unchanged(value: str) -> None:
    assert Headers([("X-Name", value)]).raw == ((b"X-Name", value.encode()),)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES.map(text_of))))
def test_arbitrary_pairs_are_kept_in_order(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    assert list(headers) == pairs
    assert len(headers) == len(pairs)
    assert headers.raw == tuple((bytes_of(name), bytes_of(value)) for name, value in pairs)


@settings(deadline=None)
@given(st.text("aé: \t\r\n\0", max_size=4), st.text("aé: \t\r\n\0"))
def test_accepted_pairs_contain_no_line_break(name: str, value: str) -> None:
    try:
        headers = Headers([(name, value)])
    except ValueError:
        return
    ((raw_name, raw_value),) = headers.raw
    assert not {*raw_name, *raw_value} & {*b"\r\n\0"}
    assert raw_name
    assert b":" not in raw_name


def test_headers_accept_pairs_mappings_and_headers() -> None:
    assert list(Headers([("A", "1"), ("A", "2")])) == [("A", "1"), ("A", "2")]
    assert list(Headers({"A": "1", "B": "2"})) == [("A", "1"), ("B", "2")]
    assert list(Headers(Headers({"A": "1"}))) == [("A", "1")]
    assert list(Headers()) == list(NO_FIELDS) == []


def test_received_fields_keep_every_byte() -> None:
    headers = Headers.received([(b"X-Name", b"caf\xe9 \xff")])
    assert headers.raw == ((b"X-Name", b"caf\xe9 \xff"),)
    assert bytes_of(headers["x-name"]) == b"caf\xe9 \xff"


# Finding


def test_names_are_case_insensitive() -> None:
    assert COOKIES.values("SET-COOKIE") == ["a=1", "b=2"]
    assert COOKIES.raw_values("Set-cookie") == [b"a=1", b"b=2"]
    assert COOKIES["HOST"] == "here"
    assert "hOsT" in COOKIES


def test_repeated_fields_are_joined_with_commas() -> None:
    assert COOKIES.get("set-cookie") == "a=1, b=2"
    assert COOKIES["set-cookie"] == "a=1, b=2"


def test_absent_fields_have_no_value() -> None:
    assert COOKIES.get("Cookie") is None
    assert COOKIES.values("Cookie") == []
    assert "Cookie" not in COOKIES
    with pytest.raises(KeyError, match="Cookie"):
        COOKIES["Cookie"]


def test_empty_field_is_present() -> None:
    headers = Headers({"Accept-Encoding": ""})
    assert "Accept-Encoding" in headers
    assert headers.get("Accept-Encoding") == ""


# In Unicode, the Kelvin sign is a k in lower case, and the long s an S in upper case, but the
# case of names is that of ASCII.
@pytest.mark.parametrize("name", ["\u212aeep-Alive", "Ho\u017ft", "é"])
def test_case_is_folded_for_ascii_only(name: str) -> None:
    headers = Headers([("Keep-Alive", "1"), ("Host", "here")])
    assert name not in headers
    assert headers.without(name) == headers


# Changes return new values


def test_adding_keeps_fields_of_the_same_name() -> None:
    more = COOKIES.adding("Set-Cookie", "c=3")
    assert more.values("set-cookie") == ["a=1", "b=2", "c=3"]
    assert COOKIES.values("set-cookie") == ["a=1", "b=2"]


def test_without_removes_all_fields_of_a_name() -> None:
    assert list(COOKIES.without("SET-cookie")) == [("Host", "here")]
    assert len(COOKIES) == 3


def test_replacing_replaces_all_fields_of_a_name() -> None:
    assert list(COOKIES.replacing("Set-Cookie", "c=3")) == [("Host", "here"), ("Set-Cookie", "c=3")]
    assert len(COOKIES) == 3


def test_defaulting_adds_only_absent_fields() -> None:
    assert COOKIES.defaulting("HOST", "there") is COOKIES
    assert COOKIES.defaulting("Cookie", "a=1")["cookie"] == "a=1"


@pytest.mark.parametrize("method", [Headers.adding, Headers.replacing, Headers.defaulting])
def test_changes_with_a_line_break_raise_value_error(method: object) -> None:
    assert callable(method)
    with pytest.raises(ValueError, match="not a field value"):
        method(COOKIES, "X-Name", "a\r\nb: c")
    with pytest.raises(ValueError, match="not a field name"):
        method(COOKIES, "X-Name\r\n", "a")


# Comparing


def test_equality_ignores_only_the_case_of_names() -> None:
    headers = Headers([("A", "x"), ("B", "y")])
    assert headers == Headers([("a", "x"), ("b", "y")])
    assert hash(headers) == hash(Headers([("a", "x"), ("b", "y")]))
    assert headers != Headers([("A", "X"), ("B", "y")])
    assert headers != Headers([("B", "y"), ("A", "x")])  # order matters between equal names
    assert headers != Headers([("A", "x")])
    assert headers != [("A", "x"), ("B", "y")]


def test_repr_is_the_constructor_call() -> None:
    assert repr(COOKIES) == (
        "Headers([('Set-Cookie', 'a=1'), ('Host', 'here'), ('set-cookie', 'b=2')])"
    )


@pytest.mark.parametrize(
    ("block", "raw"),
    [
        (b"", ()),
        (b"A: b\r\n", ((b"A", b"b"),)),
        # RFC 9110 5.5: surrounding white space is not part of a value, but a colon is.
        (b"A: \t b:c \t\r\na:\r\n", ((b"A", b"b:c"), (b"a", b""))),
    ],
)
def test_parse_splits_lines_into_names_and_values(
    block: bytes, raw: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert Headers.parse(block).raw == raw


@pytest.mark.parametrize("length", [KEPT - 5, KEPT - 4, 10 * KEPT])
def test_parse_is_equal_with_and_without_the_cache(length: int) -> None:
    block = b"A:" + b"b" * (length - 1) + b"\r\n"
    for _ in range(2):
        assert Headers.parse(block).raw == ((b"A", b"b" * (length - 1)),)


def test_names_are_in_lower_case() -> None:
    headers = Headers({"X-Name": "value"})
    assert headers.names == {b"x-name"}
    assert Headers().names == frozenset()
