"""Every number that a user may want to change, with its unit and its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields

# The smallest number that makes sense, where that is not 0. To wait for less than a
# millisecond would keep a processor busy with looking at the clock, and a server
# without a single connection serves nobody.
_LEAST_SECONDS = {"idle": 0.001}
_LEAST_LIMITS = {"connections": 1}


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
        _check(self, _LEAST_SECONDS)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of each thing is taken, mostly from one client, and what is worth doing.

    Negative numbers and NaN raise ``ValueError``, and so do ``connections`` below 1.
    """

    # Browsers cut off at 8 KiB of cookies; with a long target twice that is ample.
    head: int = 32 * 1024  # bytes of a request line with its fields: beyond, 431
    target: int = 8 * 1024  # bytes of a request target: beyond, 414 (RFC 9112 3: at least 8000)
    fields: int = 100  # lines of fields: beyond, 431
    body: float = math.inf  # bytes of a request's body: beyond, 413
    # Reading the rest of a body costs less than a new connection up to about here.
    skip: int = 256 * 1024  # bytes of an unread body read to keep a connection
    # A chunk costs more than its bytes. Even a program that sends each character of a
    # text as a chunk of its own rarely sends 80 000 at once, which is what this allows.
    framing: int = 256 * 1024  # bytes of chunk sizes, out of proportion to the data: beyond, 400
    # Most clients look for an answer only when all of their upload has been sent, and
    # uploads of hundreds of megabytes are common. To drop a GiB takes about a second of
    # a processor: the same number of bytes in requests would take a hundred.
    linger: int = 1024 * 1024 * 1024  # bytes dropped before a closing connection is cut
    # A packet carries 1460 bytes anyway; below this a coding saves none.
    compress: int = 256  # bytes of a body, from which on it is worth a content coding
    # An idle one holds about 6 KiB and one that sends a head up to 38: 100 MiB to
    # 600 MiB for all. Go and Hypercorn have no limit, until memory ends everybody;
    # nginx has 512, of which clients that only wait leave little.
    connections: float = 16 * 1024  # at once, for one server: who is beyond waits
    # RFC 9110 6.6.1 asks for Date wherever there is a clock.
    date: bool = True  # whether answers carry it
    # What is said twice, here and in h11, can be checked by saying it once.
    plain: bool = True  # whether plain exchanges take the short way past h11

    def __post_init__(self) -> None:
        _check(self, _LEAST_LIMITS)


def _check(numbers: Timeouts | Limits, least: Mapping[str, float]) -> None:
    """Raise ``ValueError`` for the first number that is smaller than makes sense, or NaN."""
    for field, number in zip(fields(numbers), astuple(numbers), strict=True):
        smallest = least.get(field.name, 0)
        if not number >= smallest:  # NaN is neither smaller nor larger than anything
            raise ValueError(f"{field.name} must be {smallest} or more, not {number}")
