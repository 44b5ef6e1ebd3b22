"""Which numbers make sense, for any value that is made of numbers."""

import math
from dataclasses import dataclass

import pytest

from trio_http.semantics.quantities import check


@dataclass(frozen=True, slots=True)
class Numbers:
    first: float = 1
    second: float = 2


@pytest.mark.parametrize("second", [0, 2, math.inf])
def test_number_that_is_large_enough_passes(second: float) -> None:
    check(Numbers(second=second), {})


@pytest.mark.parametrize(("second", "least"), [(-1, 0), (math.nan, 0), (2, 3)])
def test_first_number_that_is_too_small_is_named(second: float, least: float) -> None:
    with pytest.raises(ValueError, match=f"^second must be {least} or more, not {second}$"):
        check(Numbers(second=second), {"second": least} if least else {})
