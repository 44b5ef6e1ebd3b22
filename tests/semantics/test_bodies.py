"""Tests of bodies as data."""

import math
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.bodies import (
    Body,
    Chain,
    Encoded,
    FileSlice,
    Pulse,
    Send,
    Stream,
    length_of,
)


async def produce(send: Send) -> None:
    raise AssertionError("a body must not be produced before it is sent")


MEASURED = st.recursive(
    st.one_of(
        st.binary(),
        st.builds(FileSlice, st.just(3), st.integers(0), st.integers(0)),
        st.builds(Stream, st.just(produce), st.integers(0)),
    ),
    lambda bodies: st.lists(bodies).map(lambda parts: Chain(tuple(parts))),
    max_leaves=10,
)
UNMEASURED = st.one_of(
    st.just(Stream(produce)),
    st.builds(Encoded, MEASURED, st.just("gzip")),
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 0),
        (b"four", 4),
        (FileSlice(3, 100, 50), 50),  # the offset does not matter
        (Stream(produce, 7), 7),
        (Stream(produce, 0), 0),  # a known length of 0 is not unknown
        (Stream(produce), None),
        (Stream(produce, pulse=Pulse(15, b"still here")), None),
        (Encoded(b"four", "gzip"), None),  # unknown until it is encoded
        (Chain(()), 0),
        (Chain((b"head", FileSlice(3, 0, 50), Stream(produce, 7))), 61),
        (Chain((b"head", Chain((b"in", b"ner")))), 9),
        (Chain((b"head", Stream(produce), b"tail")), None),
        (Chain((Chain((Encoded(b"", "gzip"),)),)), None),
    ],
)
def test_length_of_returns_bytes_or_none(body: Body, expected: int | None) -> None:
    assert length_of(body) == expected


@pytest.mark.parametrize("body", ["text", None, [b"a", b"b"], Chain(("text",))])  # type: ignore[arg-type]
def test_length_of_other_values_raises_type_error(body: Body) -> None:
    with pytest.raises(TypeError, match="not a body"):
        length_of(body)


@settings(deadline=None, max_examples=25)  # making nested bodies takes long
@given(st.lists(MEASURED))
def test_length_of_a_chain_is_the_sum_of_its_parts(parts: list[Body]) -> None:
    lengths = [length_of(part) for part in parts]
    assert length_of(Chain(tuple(parts))) == sum(length or 0 for length in lengths)


@settings(deadline=None, max_examples=25)  # making nested bodies takes long
@given(st.lists(MEASURED), UNMEASURED, st.lists(MEASURED))
def test_length_of_a_chain_with_an_unknown_part_is_none(
    before: list[Body], unknown: Body, after: list[Body]
) -> None:
    assert length_of(Chain((*before, unknown, *after))) is None


def test_len_of_a_slice_is_its_length() -> None:
    assert len(FileSlice(3, 100, 50)) == 50


def test_equal_bodies_are_equal_values() -> None:
    body = Chain((b"a", Encoded(FileSlice(3, 0, 5), "gzip"), Stream(produce)))
    same = Chain((b"a", Encoded(FileSlice(3, 0, 5), "gzip"), Stream(produce)))
    assert body == same
    assert hash(body) == hash(same)
    assert FileSlice(3, 0, 5) != FileSlice(3, 1, 5)
    assert Encoded(b"a", "gzip") != Encoded(b"a", "deflate")
    assert Stream(produce, pulse=Pulse(15, b"a")) == Stream(produce, None, Pulse(15, b"a"))
    assert Stream(produce, pulse=Pulse(15, b"a")) != Stream(produce)


def test_stream_has_no_pulse_by_default() -> None:
    assert Stream(produce).pulse is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (FileSlice(3, 0, 5), "length"),
        (Stream(produce), "length"),
        (Pulse(15, b""), "data"),
        (Encoded(b"a", "gzip"), "coding"),
        (Chain(()), "parts"),
    ],
)
def test_bodies_are_frozen(body: Body | Pulse, field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(body, field, None)


def test_first_and_behind_split_a_slice() -> None:
    piece = FileSlice(3, 100, 50)
    assert piece.first(20) == FileSlice(3, 100, 20)
    assert piece.after(20) == FileSlice(3, 120, 30)
    assert not piece.after(50)


@pytest.mark.parametrize("seconds", [0, -0.0, -1, -math.inf, math.nan])
def test_pulse_without_positive_seconds_raises_value_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Pulse(seconds, b"a")


def test_pulse_accepts_any_positive_seconds() -> None:
    assert [Pulse(each, b"a").seconds for each in (0.001, math.inf)] == [0.001, math.inf]
