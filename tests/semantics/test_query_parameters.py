"""Names with values, as queries and forms carry them."""

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
        ("a=1;b=2", [("a", "1;b=2")]),  # WHATWG URL 5.1: nothing but & separates
        ("a+b=c+d", [("a b", "c d")]),
        ("a%2Bb=%26%3D", [("a+b", "&=")]),
        ("a=%2525", [("a", "%25")]),  # once, not twice
        ("a=%zz%", [("a", "%zz%")]),
        ("caf%C3%A9=%e4%bd%a0", [("café", "你")]),
        ("a=%FF", [("a", "\udcff")]),
        ("a=\udcff", [("a", "\udcff")]),
        ("a=%00", [("a", "\0")]),
        ("a?b#c", [("a?b#c", "")]),
    ],
)
def test_parse(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(Parameters.parse(text)) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text())), st.sampled_from([quote, quote_plus]))
def test_what_was_encoded_is_parsed(pairs: list[tuple[str, str]], how: Callable[..., str]) -> None:
    text = urlencode(pairs, quote_via=how)
    assert Parameters.parse(text) == Parameters(pairs)


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(min_size=1), st.binary())))
def test_any_bytes_survive(pairs: list[tuple[bytes, bytes]]) -> None:
    found = Parameters.parse(urlencode(pairs))
    assert [
        (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
        for name, value in found
    ] == pairs


@settings(deadline=None)
@given(st.text(st.sampled_from("ab=&;+%4fF\udcc3é")) | st.text())
def test_any_text_is_some_pairs(text: str) -> None:
    assert len(Parameters.parse(text)) <= text.count("&") + 1


def test_no_more_than_a_thousand_pairs_are_taken() -> None:
    assert len(Parameters.parse("&".join(["a=1"] * MOST))) == MOST == 1000
    with pytest.raises(ValueError, match="fields"):
        Parameters.parse("&".join(["a=1"] * (MOST + 1)))
    with pytest.raises(ValueError, match="fields"):
        Parameters.parse("&" * MOST)


def test_of_several_values_the_first_is_meant_unless_all_are_asked_for() -> None:
    assert THREE["a"] == THREE.get("a") == "1"
    assert THREE.all("a") == ["1", "2"]


def test_an_empty_value_is_a_value() -> None:
    assert THREE["b"] == ""
    assert THREE.get("b", "default") == ""
    assert "b" in THREE


def test_what_is_absent_has_no_value() -> None:
    assert THREE.get("c") is None
    assert THREE.get("c", "default") == "default"
    assert THREE.all("c") == []
    assert "c" not in THREE
    with pytest.raises(KeyError, match="c"):
        THREE["c"]


def test_names_have_a_case() -> None:
    assert "A" not in THREE


def test_pairs_come_in_order() -> None:
    assert list(THREE) == PAIRS
    assert len(THREE) == 3
    assert THREE.pairs == tuple(PAIRS)
    assert not Parameters()


def test_equal_pairs_are_equal_values() -> None:
    assert Parameters(iter(PAIRS)) == THREE
    assert hash(Parameters(PAIRS)) == hash(THREE)
    assert Parameters(PAIRS[::-1]) != THREE
    assert THREE != PAIRS


def test_its_repr_makes_it_again() -> None:
    assert repr(THREE) == "Parameters([('a', '1'), ('b', ''), ('a', '2')])"
