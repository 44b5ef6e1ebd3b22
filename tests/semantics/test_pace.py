"""How far a client is behind a minimum rate: waiting adds to it, and bytes take from it."""

import pytest

from trio_http.semantics.pace import Pace


@pytest.mark.parametrize(
    ("rate", "steps", "lag"),
    [
        (100, [], 0),
        (100, [(5, 0), (5, 0)], 10),  # nothing has moved
        (100, [(10, 1000)], 0),  # exactly the minimum rate
        (100, [(10, 900)], 1),
        (100, [(10, 1_000_000), (3, 0)], 3),  # fast bytes pay for no later silence
        (0, [(10, 1), (3, 0)], 3),  # without a rate, a byte is enough
        (0, [(10, 0)], 10),
    ],
)
def test_lag_is_the_waiting_that_bytes_have_not_paid_for(
    rate: float, steps: list[tuple[float, int]], lag: float
) -> None:
    pace = Pace(rate)
    for seconds, size in steps:
        pace.wait(seconds)
        pace.move(size)
    assert pace.lag == lag


def test_running_total_counts_each_byte_once() -> None:
    pace = Pace(100)
    pace.wait(10)
    for total in (300, 300, 500):
        pace.reach(total)
    assert pace.lag == 5
