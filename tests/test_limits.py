"""The numbers that have to agree with each other, or with an RFC."""

import dataclasses
import math

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
