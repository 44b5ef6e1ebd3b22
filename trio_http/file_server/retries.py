"""Retries what another program prevents for a moment, by a lock or a lease.

Nothing tells when a lock is released, except to a thread that waits for it, and a program
that never releases it would take one thread after the other. So a task tries again, after
ever longer pauses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from trio_http.semantics.errors import HTTPError

T = TypeVar("T")

# Seconds. A lock is held for the moment of a change. The holder of a lease has 45 s to write
# its data and give it back, and usually needs less than one.
PATIENCE = 10.0

# Seconds until a file must be found and open: long enough for a disk that has to spin up.
PROMPT = 30.0

# Seconds between two attempts, at first and at most.
SHORTEST, LONGEST = 0.001, 0.05


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return the result of ``attempt``, which is called again while it raises BlockingIOError.

    An attempt is never cancelled by the time limit, because it may have changed something.
    ``HTTPError`` 503 when the time is up.
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
    """Do the same for a lookup, which changes nothing: it ends with 503 even in the middle."""
    with trio.move_on_after(PROMPT):
        return await patiently(look_up)
    raise HTTPError(503, "the file system does not respond", {"Retry-After": "10"})
