"""Tests of the parameters of queries and forms."""

from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.query_parameters import MOST, Parameters

PAIRS = [("a", "1"), ("b", ""), ("a", "2")]
THREE = Parameters(PAIRS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=1", [("", "1")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&", [("a", "1")]),
        ("a=1;b=2", [("a", "1;b=2")]),  # WHATWG URL 5.1: only & separates
        ("a+b=c+d", [("a b", "c d")]),
        ("a%2Bb=%26%3D", [("a+b", "&=")]),
        ("a=%2525", [("a", "%25")]),  # decoded only once
        ("a=%zz%", [("a", "%zz%")]),
        ("caf%C3%A9=%e4%bd%a0", [("café", "你")]),
        ("a=%FF", [("a", "\udcff")]),
        ("a=\udcff", [("a", "\udcff")]),
        ("a=%00", [("a", "\0")]),
        ("a?b#c", [("a?b#c", "")]),
    ],
)
def test_parse_decodes_names_and_values(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(Parameters.parse(text)) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text())), st.sampled_from([quote, quote_plus]))
def test_encoded_pairs_are_parsed_back(
    pairs: list[tuple[str, str]], how: Callable[..., str]
) -> None:
    text = urlencode(pairs, quote_via=how)
    assert Parameters.parse(text) == Parameters(pairs)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1), st.binary())))
def test_arbitrary_bytes_survive(pairs: list[tuple[bytes, bytes]]) -> None:
    found = Parameters.parse(urlencode(pairs))
    assert [
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
        for name, value in found
    ] == pairs


@settings(deadline=None)
@given(st.text(st.sampled_from("ab=&;+%4fF\udcc3é")) | st.text())
def test_arbitrary_text_is_parsed(text: str) -> None:
    assert len(Parameters.parse(text)) <= text.count("&") + 1


def test_more_than_1000_parameters_raise_value_error() -> None:
    assert len(Parameters.parse("&".join(["a=1"] * MOST))) == MOST == 1000
    with pytest.raises(ValueError, match="fields"):
        Parameters.parse("&".join(["a=1"] * (MOST + 1)))
    with pytest.raises(ValueError, match="fields"):
        Parameters.parse("&" * MOST)


def test_lookup_returns_the_first_value_and_all_returns_each() -> None:
    assert THREE["a"] == THREE.get("a") == "1"
    assert THREE.all("a") == ["1", "2"]


def test_empty_value_is_present() -> None:
    assert THREE["b"] == ""
    assert THREE.get("b", "default") == ""
    assert "b" in THREE


def test_absent_name_returns_none_or_raises_key_error() -> None:
    assert THREE.get("c") is None
    assert THREE.get("c", "default") == "default"
    assert THREE.all("c") == []
    assert "c" not in THREE
    with pytest.raises(KeyError, match="c"):
        THREE["c"]


def test_names_are_case_sensitive() -> None:
    assert "A" not in THREE


def test_pairs_keep_their_order() -> None:
    assert list(THREE) == PAIRS
    assert len(THREE) == 3
    assert THREE.pairs == tuple(PAIRS)
    assert not Parameters()


def test_equal_pairs_are_equal_values() -> None:
    assert Parameters(iter(PAIRS)) == THREE
    assert hash(Parameters(PAIRS)) == hash(THREE)
    assert Parameters(PAIRS[::-1]) != THREE
    assert THREE != PAIRS


def test_repr_is_the_constructor_call() -> None:
    assert repr(THREE) == "Parameters([('a', '1'), ('b', ''), ('a', '2')])"
