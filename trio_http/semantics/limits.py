"""Limits of the resources that clients can use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trio_http.semantics.quantities import Quantity, check, described, documented

# The whole head of a request is held in memory.
_MOST_BYTES_OF_FIELDS = 1024**3

# No network needs a higher minimum rate; "none" would read as an infinite one.
_HIGHEST_RATE = 1024**3


@documented
@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum sizes and counts that the server accepts; ``math.inf`` means no limit.

    Negative numbers and NaN raise ``ValueError``, and so do ``connections`` below 1. ``head``,
    ``target``, ``fields`` and minimum rates must be finite.
    """

    head: int = described(
        32 * 1024,
        Quantity(
            "bytes",
            "maximum bytes of a request line with its header fields; a longer head gets a 431",
            "Browsers send at most 8 KiB of cookies. With a long target, twice that is ample.",
            most=_MOST_BYTES_OF_FIELDS,
        ),
    )
    target: int = described(
        8 * 1024,
        Quantity(
            "bytes",
            "maximum bytes of a request target; a longer one gets a 414",
            "RFC 9112 3 recommends 8000 or more.",
            most=_MOST_BYTES_OF_FIELDS,
        ),
    )
    fields: int = described(
        100,
        Quantity(
            "fields",
            "maximum header fields of a request; more get a 431",
            "The default is several times what browsers and proxies send.",
            most=1_000_000,
        ),
    )
    body: float = described(
        math.inf,
        Quantity(
            "bytes",
            "maximum bytes of a request body; a longer one gets a 413",
            "Bodies are streamed, so their size costs no memory. Methods that return a whole "
            "body, such as ``Request.json``, have limits of their own.",
        ),
    )
    skip: float = described(
        256 * 1024,
        Quantity(
            "bytes",
            "maximum bytes of an unread request body that are read to keep the connection open",
            "Up to about this size, reading costs less than a new connection.",
        ),
    )
    framing: float = described(
        256 * 1024,
        Quantity(
            "bytes",
            "maximum bytes of chunk sizes in a request body, out of proportion to its data; more "
            "get a 400",
            "Parsing a chunk costs more than reading its bytes. The default allows about 80 000 "
            "chunks, enough even for a program that sends each character of a text as a chunk.",
        ),
    )
    # Apache requires 500 bytes per second of a body (mod_reqtimeout). The slowest link in use, one
    # time slot of GPRS in the worst coding, carries 1000: a client on it may pause for half of the
    # time, and additionally up to the timeout. At a byte per second, an upload could hold a
    # connection for years. Caddy has no such limit, only an optional timeout for the whole body
    # (``read_body``), which long uploads over slow links exceed.
    receive_rate: int = described(
        500,
        Quantity(
            "bytes",
            "minimum bytes per second of a request body; a client that falls behind by the "
            "receive timeout gets a 408; 0 disables the minimum",
            "Apache requires the same. The slowest mobile links (GPRS) carry twice as much. Only "
            "the time that the server waits for the client counts.",
            most=_HIGHEST_RATE,
        ),
    )
    # A client that reads slowly gets the same time as a client that sends slowly. The rate is
    # that of the client's acknowledgements if the kernel reports them.
    send_rate: int = described(
        500,
        Quantity(
            "bytes",
            "minimum bytes per second of a response; the connection of a client that falls behind "
            "by the send timeout is aborted; 0 disables the minimum",
            "The same as for request bodies. Only the time that the server waits for the client "
            "counts, so an event stream may stay silent for any time.",
            most=_HIGHEST_RATE,
        ),
    )
    linger: float = described(
        1024 * 1024 * 1024,
        Quantity(
            "bytes",
            "maximum bytes that are discarded before a closing connection is cut",
            "Most clients read a response only after they have sent their whole upload, and "
            "uploads of hundreds of megabytes are common. Discarding 1 GiB takes a second of a "
            "processor; serving as many bytes of requests would take a hundred.",
        ),
    )
    connections: float = described(
        16 * 1024,
        Quantity(
            "connections",
            "maximum concurrent connections per process; new clients take the place of idle ones, "
            "or wait",
            "An idle connection takes about 6 KiB, and one that sends a head up to 38 KiB: 100 to "
            "600 MiB for all. Go and Hypercorn have no limit and can run out of memory; nginx "
            "allows 512, which idle clients soon use up. The command line lowers the limit if "
            "``ulimit -Hn`` is too low.",
            least=1,  # a server without connections cannot serve
        ),
    )

    def __post_init__(self) -> None:
        check(self)
