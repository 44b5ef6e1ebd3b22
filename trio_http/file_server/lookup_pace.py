"""Decides whether lookups may run in the event loop, by how long the last ones took.

Even a local file system can be slow: a disk on a network, or a virus scanner that sees each
file first. One lookup that held up all other clients is enough.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# Seconds. A process that gets no processor may take a few hundredths for anything.
SLOW = 0.1

# Seconds for which all lookups run in threads after a slow one.
DISTRUST = 60.0


class LookupPace:
    """Tracks how long lookups in the event loop take, and tells whether the next may run there."""

    __slots__ = ("_clock", "_slow_until")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slow_until = -math.inf

    def begin(self) -> float | None:
        """Return the time, for ``end``; None if the lookup has to run in a thread."""
        now = self._clock()
        return now if now >= self._slow_until else None

    def end(self, begun: float) -> None:
        """Record that a lookup has ended."""
        now = self._clock()
        if now - begun > SLOW:
            self._slow_until = now + DISTRUST
