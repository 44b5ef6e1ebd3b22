"""Tests of the timeouts."""

import math
from dataclasses import FrozenInstanceError, astuple, fields, replace
from typing import Any

import pytest

from trio_http.semantics.timeouts import Timeouts


def changed(name: str, seconds: float) -> Timeouts:
    changes: dict[str, Any] = {name: seconds}
    return replace(Timeouts(), **changes)


NAMES = [field.name for field in fields(Timeouts)]


def test_default_timeouts_are_positive_and_finite() -> None:
    assert all(0 < seconds < math.inf for seconds in astuple(Timeouts()))


def test_timeouts_are_frozen() -> None:
    timeouts = Timeouts()
    with pytest.raises(FrozenInstanceError):
        timeouts.idle = 1  # type: ignore[misc] # what is tested


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [-1, -0.001, -math.inf, math.nan])
def test_negative_timeout_raises_value_error(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .* or more, not {seconds}"):
        changed(name, seconds)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [0.001, math.inf])
def test_short_or_infinite_timeout_is_valid(name: str, seconds: float) -> None:
    assert getattr(changed(name, seconds), name) == seconds


@pytest.mark.parametrize("seconds", [0, 1e-20])
def test_idle_timeout_below_a_millisecond_raises_value_error(seconds: float) -> None:
    # The task that closes idle connections would loop without sleeping.
    with pytest.raises(ValueError, match=r"idle must be 0\.001 or more"):
        Timeouts(idle=seconds)


def test_docstring_describes_each_timeout() -> None:
    assert Timeouts.__doc__ is not None
    for name in NAMES:
        assert f"\n    {name}: seconds " in Timeouts.__doc__
