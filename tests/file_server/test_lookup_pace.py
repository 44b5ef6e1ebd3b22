"""Tests of the choice between lookups in threads and in the event loop."""

import pytest

from trio_http.file_server.lookup_pace import DISTRUST, SLOW, LookupPace


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_trusted_after(clock: Clock, pace: LookupPace, seconds: float) -> bool:
    begun = pace.begin()
    assert begun == clock.now
    clock.now += seconds
    pace.end(begun)
    return pace.begin() is not None


@pytest.mark.parametrize(("seconds", "expected"), [(0, True), (SLOW / 2, True), (SLOW * 2, False)])
def test_one_slow_lookup_ends_the_trust(seconds: float, expected: object) -> None:
    clock = Clock()
    assert is_trusted_after(clock, LookupPace(clock), seconds) is expected


def test_trust_is_tested_again_after_a_pause() -> None:
    clock = Clock()
    pace = LookupPace(clock)
    for _ in range(2):
        assert not is_trusted_after(clock, pace, SLOW * 2)
        clock.now += DISTRUST - 1
        assert pace.begin() is None
        clock.now += 1
        assert pace.begin() == clock.now
    assert is_trusted_after(clock, pace, 0)
