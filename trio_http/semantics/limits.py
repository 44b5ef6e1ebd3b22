"""How much the server takes, mostly from one client."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trio_http.semantics.quantities import check

# A server without a single connection serves nobody.
_LEAST = {"connections": 1}


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
        check(self, _LEAST)
