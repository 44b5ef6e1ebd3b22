"""Tests of retries: which errors are retried, and for how long."""

import pytest
import trio
from trio.testing import MockClock

from trio_http.file_server.retries import LONGEST, PATIENCE, PROMPT, SHORTEST, in_time, patiently
from trio_http.semantics.errors import HTTPError


class CachedResponse:
    """A resource that another program holds until a given time."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.asked: list[float] = []

    async def __call__(self) -> str:
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        self.asked.append(now)
        if now < self.until:
            raise BlockingIOError
        return "free"


@pytest.mark.parametrize("ask", [patiently, in_time])
async def test_free_lock_is_taken_at_once(ask: type, autojump_clock: MockClock) -> None:
    kept = CachedResponse(0)
    assert await ask(kept) == "free"
    assert kept.asked == [0]


@pytest.mark.parametrize("ask", [patiently, in_time])
async def test_released_lock_is_taken_soon(ask: type, autojump_clock: MockClock) -> None:
    kept = CachedResponse(1)
    assert await ask(kept) == "free"
    pauses = [later - earlier for earlier, later in zip(kept.asked, kept.asked[1:], strict=False)]
    assert pauses[0] == pytest.approx(SHORTEST)
    assert max(pauses) == pytest.approx(LONGEST)
    assert trio.current_time() <= 1 + LONGEST
    assert len(kept.asked) < 30


@pytest.mark.parametrize("ask", [patiently, in_time])
async def test_lock_that_is_never_released_gets_503(ask: type, autojump_clock: MockClock) -> None:
    with pytest.raises(HTTPError) as refusal:
        await ask(CachedResponse(1000))
    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (503, "1")
    assert PATIENCE <= trio.current_time() <= PATIENCE + LONGEST


@pytest.mark.parametrize("ask", [patiently, in_time])
async def test_other_errors_are_raised(ask: type, autojump_clock: MockClock) -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise PermissionError

    with pytest.raises(PermissionError):
        await ask(fail)


async def test_change_is_never_cancelled(autojump_clock: MockClock) -> None:
    async def change() -> None:
        await trio.sleep(1000)

    await patiently(change)
    assert trio.current_time() == 1000


async def test_lookup_is_cancelled_with_503(autojump_clock: MockClock) -> None:
    with pytest.raises(HTTPError) as refusal:
        await in_time(trio.sleep_forever)
    assert refusal.value.status == 503
    assert "Retry-After" in refusal.value.headers
    assert trio.current_time() == PROMPT
