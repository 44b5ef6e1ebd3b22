"""What was looked up a moment ago, and can be looked up again without waiting."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")

# As long as that, the names of a path stay in the kernel's memory for sure,
# short of a machine that is out of it.
SECONDS = 1.0
# Enough for what a busy server serves in a second; an entry takes some 500 bytes.
MOST = 4096


class ExpiringCache(Generic[Found]):
    """Remembers for a second what was found under some thousand keys, and no more than that.

    ``most`` is how many, or how much of what ``weigh`` tells of each.

    Looking a path up takes the kernel some microseconds, and a worker thread
    ten times as many to be asked. Only a path that is not in memory needs the
    thread, so that a slow disk holds up nobody else.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST,
        weigh: Callable[[Found], int] = lambda _: 1,
    ) -> None:
        self._clock = clock
        self._most = most
        self._weigh = weigh
        self._weight = 0
        self._noted: OrderedDict[str, tuple[float, Found]] = OrderedDict()

    def get(self, key: str) -> Found | None:
        """What was noted of the key within the last second."""
        noted = self._noted.get(key)
        if noted is None or self._clock() - noted[0] >= SECONDS:
            return None
        return noted[1]

    def note(self, key: str, found: Found) -> None:
        """Remember the key from now on."""
        if (before := self._noted.pop(key, None)) is not None:
            self._weight -= self._weigh(before[1])
        self._noted[key] = self._clock(), found
        self._weight += self._weigh(found)
        while self._weight > self._most:
            _, (_, oldest) = self._noted.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def forget(self, key: str, found: Found) -> None:
        """Remember this no more, if it is what was noted of the key last."""
        noted = self._noted.get(key)
        if noted is not None and noted[1] is found:
            del self._noted[key]
            self._weight -= self._weigh(found)
