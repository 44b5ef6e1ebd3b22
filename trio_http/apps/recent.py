"""What was looked up a moment ago, and can be looked up again without waiting."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

# As long as that, the names of a path stay in the kernel's memory for sure,
# short of a machine that is out of it.
SECONDS = 1.0
# Enough for what a busy server serves in a second; an entry takes some 200 bytes.
MOST = 4096


class Recent:
    """Remembers keys for a second, and no more than some thousand of them.

    Looking a path up takes the kernel some microseconds, and a worker thread
    ten times as many to be asked. Only a path that is not in memory needs the
    thread, so that a slow disk holds up nobody else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted: OrderedDict[str, float] = OrderedDict()

    def holds(self, key: str) -> bool:
        """Whether the key was noted within the last second."""
        noted = self._noted.get(key)
        return noted is not None and self._clock() - noted < SECONDS

    def note(self, key: str) -> None:
        """Remember the key from now on."""
        self._noted[key] = self._clock()
        self._noted.move_to_end(key)
        if len(self._noted) > MOST:
            self._noted.popitem(last=False)
