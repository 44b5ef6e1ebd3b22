"""The numbers that have to agree with each other, or with an RFC."""

import dataclasses
import math
from typing import Any

import pytest

from trio_http.semantics.limits import Limits, Timeouts
from trio_http.serving.server import ACCEPT_AT_ONCE


def test_targets_of_8000_bytes_are_taken() -> None:
    assert Limits().target >= 8000  # RFC 9112 3


def test_the_longest_target_leaves_room_for_fields() -> None:
    assert Limits().head >= 2 * Limits().target


def test_no_wait_has_to_last_for_ever() -> None:
    assert all(0 < seconds < math.inf for seconds in dataclasses.astuple(Timeouts()))


def test_there_may_be_more_connections_than_are_accepted_at_once() -> None:
    assert Limits().connections > ACCEPT_AT_ONCE


def test_numbers_are_changed_by_making_others() -> None:
    limits = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.head = 1  # type: ignore[misc] # what is tested
    assert dataclasses.replace(limits, head=1) != limits


def changed(numbers: Timeouts | Limits, name: str, number: float) -> Timeouts | Limits:
    changes: dict[str, Any] = {name: number}
    return dataclasses.replace(numbers, **changes)


@pytest.mark.parametrize("numbers", [Timeouts(), Limits()])
@pytest.mark.parametrize("nonsense", [-1, -0.001, -math.inf, math.nan])
def test_no_number_makes_sense_below_zero(numbers: Timeouts | Limits, nonsense: float) -> None:
    for field in dataclasses.fields(numbers):
        with pytest.raises(ValueError, match=f"{field.name} must be .* or more, not {nonsense}"):
            changed(numbers, field.name, nonsense)


@pytest.mark.parametrize("numbers", [Timeouts(), Limits()])
@pytest.mark.parametrize("number", [0, math.inf])
def test_all_numbers_but_two_may_be_nothing_and_without_end(
    numbers: Timeouts | Limits, number: float
) -> None:
    for field in dataclasses.fields(numbers):
        if number or field.name not in {"idle", "connections"}:
            assert getattr(changed(numbers, field.name, number), field.name) == number


def test_a_server_must_be_able_to_wait_and_to_serve() -> None:
    # The watch over idle connections would go round without sleeping.
    for seconds in (0, 1e-20):
        with pytest.raises(ValueError, match=r"idle must be 0\.001 or more"):
            Timeouts(idle=seconds)
    with pytest.raises(ValueError, match="connections must be 1 or more, not 0"):
        Limits(connections=0)
    assert Timeouts(idle=0.001).idle == 0.001
    assert Limits(connections=1).connections == 1
