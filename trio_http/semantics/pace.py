"""How far a client is behind a minimum rate."""

from __future__ import annotations


class Pace:
    """The seconds that a client is behind a minimum rate, in bytes per second.

    Each second of waiting for the client adds one to ``lag``. Bytes that move take off the
    seconds that they are worth at the minimum rate, or the whole lag if the rate is 0. A client
    is never ahead: Apache lets the bytes of a fast hour pay for an hour of silence
    (``RequestReadTimeout``), but a client that stops shall be noticed as soon as any other.
    """

    __slots__ = ("_rate", "_total", "lag")

    def __init__(self, rate: float) -> None:
        self.lag: float = 0.0
        self._rate = rate
        self._total = 0

    def wait(self, seconds: float) -> None:
        """Count seconds of waiting for the client."""
        self.lag += seconds

    def move(self, size: int) -> None:
        """Count bytes that have moved."""
        if size:
            self.lag = max(0.0, self.lag - size / self._rate) if self._rate else 0.0

    def reach(self, total: int) -> None:
        """Count the bytes by which a running total has grown since the last call."""
        self.move(total - self._total)
        self._total = total
