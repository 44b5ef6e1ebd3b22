"""What was looked up a moment ago."""

from trio_http.apps.recent import MOST, SECONDS, Recent


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_noted_is_held_for_a_second() -> None:
    clock = Clock()
    recent = Recent(clock)
    assert not recent.holds("a")
    recent.note("a")
    assert recent.holds("a")
    assert not recent.holds("b")
    clock.now += SECONDS
    assert not recent.holds("a")
    recent.note("a")
    assert recent.holds("a")


def test_the_oldest_are_forgotten_first() -> None:
    recent = Recent(Clock())
    for number in range(MOST):
        recent.note(str(number))
    recent.note("0")
    recent.note("one more")
    assert recent.holds("0")
    assert not recent.holds("1")
    assert recent.holds("2")
