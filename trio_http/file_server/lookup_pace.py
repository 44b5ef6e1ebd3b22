"""Whether what is looked up in the event loop comes at once, as the last look-ups have shown.

Local file systems can be slow, too: a disk on a network, a scanner for viruses
that sees a file first. One look-up that has held everybody up is enough.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# Seconds. A process that gets no processor may take a few hundredths for anything.
SLOW = 0.1

# Seconds for which threads look everything up after that.
DISTRUST = 60.0


class LookupPace:
    """Says whether to look up in the event loop, and is told how long that took."""

    __slots__ = ("_clock", "_slow_until")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slow_until = -math.inf

    def begin(self) -> float | None:
        """The time, for ``end``; None where threads should do it."""
        now = self._clock()
        return now if now >= self._slow_until else None

    def end(self, begun: float) -> None:
        """Take note of a look-up that has ended."""
        now = self._clock()
        if now - begun > SLOW:
            self._slow_until = now + DISTRUST
