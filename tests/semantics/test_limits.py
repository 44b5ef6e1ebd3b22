"""Tests of the limits: some must agree with each other or with an RFC."""

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from trio_http.semantics.limits import Limits
from trio_http.semantics.quantities import quantities_of
from trio_http.serving.server import ACCEPT_AT_ONCE


def changed(name: str, number: float) -> Limits:
    changes: dict[str, Any] = {name: number}
    return replace(Limits(), **changes)


NAMES = [name for name, _, _ in quantities_of(Limits)]


def test_default_target_allows_8000_bytes() -> None:
    assert Limits().target >= 8000  # RFC 9112 3


def test_default_head_is_at_least_twice_the_target() -> None:
    assert Limits().head >= 2 * Limits().target


def test_default_connections_exceed_one_batch_of_accepts() -> None:
    assert Limits().connections > ACCEPT_AT_ONCE


def test_limits_are_frozen() -> None:
    limits = Limits()
    with pytest.raises(FrozenInstanceError):
        limits.head = 1  # type: ignore[misc] # what is tested


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [-1, -0.001, -math.inf, math.nan])
def test_negative_limit_raises_value_error(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* or more, not {number}"):
        changed(name, number)


@pytest.mark.parametrize("name", NAMES)
def test_small_limit_is_valid(name: str) -> None:
    assert getattr(changed(name, 1), name) == 1


@pytest.mark.parametrize("name", NAMES)
def test_infinite_limit_is_valid_unless_a_rate_or_held_in_memory(name: str) -> None:
    if name in {"head", "target", "fields"} or name.endswith("_rate"):
        with pytest.raises(ValueError, match=f"{name} must be at most .*, not inf"):
            changed(name, math.inf)
    else:
        assert getattr(changed(name, math.inf), name) == math.inf


def test_no_connections_raises_value_error() -> None:
    with pytest.raises(ValueError, match="connections must be 1 or more, not 0"):
        Limits(connections=0)


def test_docstring_describes_each_limit() -> None:
    assert Limits.__doc__ is not None
    for name in NAMES:
        bound = "minimum" if name.endswith("_rate") else "maximum"
        assert f"\n    {name}: {bound} " in Limits.__doc__
