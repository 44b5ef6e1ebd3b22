"""Entries that count for a second, and the second itself.

A name that was looked up within the last second is in the kernel's memory, short of a
machine that is out of memory. So looking it up again does not wait for a disk, and can be
done in the event loop. That takes some microseconds; asking a thread takes ten times as many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

from trio_http.file_server.cache.bounded import BoundedDict

Value = TypeVar("Value")

SECONDS = 1.0

# Enough for what a busy server serves in a second; an entry takes about 500 bytes.
MOST = 4096


class ExpiringCache(Generic[Value]):
    """Remembers each value for a second, and up to a total weight.

    Args:
        clock: returns the time in seconds.
        most: the maximum total weight.
        weigh: returns the weight of a value; by default each weighs 1.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST,
        weigh: Callable[[Value], int] = lambda _: 1,
    ) -> None:
        self._clock = clock
        self._noted: BoundedDict[str, tuple[float, Value]]
        self._noted = BoundedDict(most, lambda noted: weigh(noted[1]))
        self._get = self._noted.get

    def get(self, key: str) -> Value | None:
        """Return the value that was noted within the last second."""
        noted = self._get(key)
        if noted is None or self._clock() - noted[0] >= SECONDS:
            return None
        return noted[1]

    def note(self, key: str, value: Value) -> None:
        """Remember a value from now on."""
        self._noted.put(key, (self._clock(), value))

    def forget(self, key: str, value: Value) -> None:
        """Forget this value, unless another has been noted since."""
        noted = self._noted.get(key)
        if noted is not None and noted[1] is value:
            self._noted.remove(key)


async def after_a_second(release: Callable[[], None]) -> None:
    """Call ``release`` after a second, or as soon as this task is cancelled.

    Something that is held open for many requests needs a task of its own for this: none of
    the requests can wait until the others have been answered.
    """
    try:
        await trio.sleep(SECONDS)
    finally:
        release()
