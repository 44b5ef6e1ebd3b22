"""Tests of values that are remembered for a second."""

import trio
from trio.testing import MockClock

from trio_http.file_server.cache.expiring import MOST, SECONDS, ExpiringCache, after_a_second


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_value_is_remembered_for_a_second() -> None:
    clock = Clock()
    recent: ExpiringCache[str] = ExpiringCache(clock)
    assert recent.get("a") is None
    recent.note("a", "found")
    clock.now += SECONDS * 0.99
    assert recent.get("a") == "found"
    assert recent.get("b") is None
    clock.now += SECONDS * 0.02  # reading does not renew it
    assert recent.get("a") is None
    recent.note("a", "found again")
    assert recent.get("a") == "found again"


def test_oldest_values_are_forgotten_first() -> None:
    recent: ExpiringCache[int] = ExpiringCache(Clock())
    for number in range(MOST):
        recent.note(str(number), number)
    recent.note("0", 0)
    recent.note("one more", -1)
    assert recent.get("0") == 0
    assert recent.get("1") is None
    assert recent.get("2") == 2


def test_maximum_number_of_values_can_be_given() -> None:
    recent: ExpiringCache[int] = ExpiringCache(Clock(), most=2)
    for number in range(3):
        recent.note(str(number), number)
    assert [recent.get(str(number)) for number in range(3)] == [None, 1, 2]


def test_values_are_dropped_by_weight() -> None:
    recent: ExpiringCache[int] = ExpiringCache(Clock(), most=10, weigh=lambda found: found)

    def left() -> list[int | None]:
        return [recent.get(key) for key in "abc"]

    recent.note("a", 4)
    recent.note("b", 6)
    assert left() == [4, 6, None]
    recent.note("a", 3)  # replaces its old value
    recent.note("c", 1)
    assert left() == [3, 6, 1]
    recent.note("c", 2)
    assert left() == [3, None, 2]
    recent.note("b", 11)  # heavier than the maximum
    assert left() == [None, None, None]
    recent.note("a", 10)
    assert left() == [10, None, None]


def test_only_the_latest_value_can_be_forgotten() -> None:
    recent: ExpiringCache[list[int]] = ExpiringCache(Clock(), most=3, weigh=len)
    first, second = [1, 1], [1, 1]
    recent.note("a", first)
    recent.note("a", second)
    recent.forget("a", first)
    recent.forget("b", first)
    assert recent.get("a") is second
    recent.forget("a", second)
    assert recent.get("a") is None
    recent.note("b", [1, 1, 1])  # enough room again
    assert recent.get("b") is not None


async def test_resource_is_released_after_a_second(autojump_clock: MockClock) -> None:
    released = []
    await after_a_second(lambda: released.append(trio.current_time()))
    assert released == [SECONDS]


async def test_resource_is_released_at_the_end_of_its_nursery(autojump_clock: MockClock) -> None:
    released: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after_a_second, lambda: released.append(trio.current_time()))
        nursery.cancel_scope.cancel()
    assert released == [0]
