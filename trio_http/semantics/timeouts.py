"""How long the server waits, and for what."""

from __future__ import annotations

from dataclasses import dataclass

from trio_http.semantics.quantities import check

# To wait for less than a millisecond would keep a processor busy with looking at the clock.
_LEAST = {"idle": 0.001}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds we are willing to wait, and for what; ``math.inf`` waits for ever.

    Negative numbers and NaN raise ``ValueError``, and so does ``idle`` below 0.001.
    """

    # Longer than the 60 s after which most proxies let a connection go, so that
    # they end it and no request of theirs meets a closing one.
    idle: float = 75  # for a next request
    # A head is one or a few packets; who needs longer holds a place on purpose.
    head: float = 10  # from a request's first byte to its blank line; for a TLS handshake, too
    # Long enough for a phone between two cells, short enough to free a task.
    receive: float = 30  # for the next bytes of a request's body
    send: float = 30  # for the client to take the next bytes of an answer
    # What a client needs to read the last answer and close its side. One that still
    # sends a body has this long for each 16 KiB, which is 64 kbit/s.
    linger: float = 2  # for that, before a connection with unread input is closed
    # Long enough for most exchanges, short enough for a deployment to wait for.
    grace: float = 10  # after shutdown, for what is already running
    # A pool of connections to a database that starts together with us takes some seconds
    # to open. A service manager gives up on a whole program after 90 (systemd) or less.
    start: float = 60  # for the app's lifetime to begin, before the first connection

    def __post_init__(self) -> None:
        check(self, _LEAST)
