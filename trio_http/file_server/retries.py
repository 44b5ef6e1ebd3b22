"""How long something is tried again that another program keeps from us: a lock or a lease.

Nobody tells when such a thing is free, short of a thread that waits for it. A
program that never lets go would take one thread after the other. So this asks
again, after ever longer pauses and with nothing but a task that waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from trio_http.semantics.errors import HTTPError

T = TypeVar("T")

# Seconds. A lock is held for the moment of a change. The holder of a lease has 45 s
# to write what it has in mind and give it back, and mostly needs less than one.
PATIENCE = 10.0

# Seconds until a file must be found and open: long enough for a disk that has to start.
PROMPT = 30.0

# Seconds between two attempts, at first and at most.
SHORTEST, LONGEST = 0.001, 0.05


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what ``attempt`` returns, calling it again for as long as it raises BlockingIOError.

    An attempt is never cut off, because it may have changed something. When time
    is over: ``HTTPError`` 503.
    """
    deadline = trio.current_time() + PATIENCE
    pause = SHORTEST
    while True:
        try:
            return await attempt()
        except BlockingIOError as error:
            if trio.current_time() >= deadline:
                detail = "another program keeps this to itself"
                raise HTTPError(503, detail, {"Retry-After": "1"}) from error
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST)


async def in_time(look_up: Callable[[], Awaitable[T]]) -> T:
    """The same for what only looks: it is cut off, with 503, when it takes too long itself."""
    with trio.move_on_after(PROMPT):
        return await patiently(look_up)
    raise HTTPError(503, "the file system does not answer", {"Retry-After": "10"})
