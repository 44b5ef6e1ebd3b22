"""Timeouts of each phase of a connection and of the server."""

from __future__ import annotations

from dataclasses import dataclass

from trio_http.semantics.quantities import Quantity, check, described, documented


@documented
@dataclass(frozen=True, slots=True)
class Timeouts:
    """The seconds that the server waits in each phase; ``math.inf`` means no timeout.

    Negative numbers and NaN raise ``ValueError``, and so does ``idle`` below 0.001.
    """

    idle: float = described(
        75,
        Quantity(
            "seconds",
            "seconds to wait for the next request on an open connection",
            "Most proxies close idle connections after 60 s. With a longer timeout, the proxy "
            "closes first, so it never sends a request on a connection that the server is closing.",
            least=0.001,  # with less, checking for idle connections would keep a processor busy
        ),
    )
    head: float = described(
        10,
        Quantity(
            "seconds",
            "seconds from the first byte of a request to the end of its header fields, and for a "
            "TLS handshake",
            "A head fits into a few packets. A client that needs longer is probably holding the "
            "connection open on purpose.",
        ),
    )
    receive: float = described(
        30,
        Quantity(
            "seconds",
            "seconds to wait for the next bytes of a request body",
            "Long enough for a phone between two cells, short enough to free a task.",
        ),
    )
    send: float = described(
        90,
        Quantity(
            "seconds",
            "seconds to wait for the client to take the next bytes of a response",
            "A client's kernel may tell of what was read only when its whole buffer is empty: "
            "128 KiB on this machine, for which a client that reads 2 KiB per second takes 64 s. "
            "nginx and Apache wait 60 s.",
        ),
    )
    linger: float = described(
        2,
        Quantity(
            "seconds",
            "seconds to wait for the client to read the last response, before a connection with "
            "unread input is closed",
            "Closing a connection with unread input can destroy the response. A client that still "
            "sends a body has this long for each 16 KiB, which is 64 kbit/s.",
        ),
    )
    grace: float = described(
        10,
        Quantity(
            "seconds",
            "seconds that running exchanges have to finish after a shutdown",
            "Long enough for most exchanges, short enough for a deployment to wait for.",
        ),
    )
    start: float = described(
        60,
        Quantity(
            "seconds",
            "seconds that the lifetime of the app has to begin, before the first connection",
            "If a database starts at the same time, opening a pool of connections to it takes some "
            "seconds. Service managers give up on a program after 90 s (systemd) or less.",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
