"""Requests with the most expensive input of each parser, and the instructions that they take.

Run under valgrind's callgrind, as ``test_bounds`` does, this counts some of them: the
instructions between two calls of ``getppid``.
"""

import os
import subprocess
import sys
from dataclasses import dataclass

import trio

from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.http1.exchange import Exchange
from trio_http.observe.access_log import printable
from trio_http.semantics.conditional import State
from trio_http.semantics.digests import wanted_algorithm
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.response import Response
from trio_http.semantics.validators import ETag
from trio_http.testing import open_client

# The maximum sizes of a head and a target, less the part that every request has.
SIZE = 31 * 1024
TARGET = 8000

MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
CONTENT = Response(
    200, {"Content-Type": "text/plain", "ETag": '"x"', "Last-Modified": MODIFIED}, b"x" * 1000
)


async def app(exchange: Exchange) -> None:
    """Parse the part of the request that the first segment of the path names."""
    request = exchange.request
    response = CONTENT
    match request.path[1:].partition("/")[0]:
        case "error":
            raise HTTPError(404)
        case "trailers":
            response = Response(200, trailers=dict)
        case "cookies":
            len(request.cookies)
        case "query":
            len(request.query)
        case "segments":
            len(request.segments)
        case "text":
            await request.text()
        case "form":
            request.form()
        case "change":
            WritePreconditions.of(request).check(State.stored(ETag("x"), 0))
        case "digest":
            wanted_algorithm(request.headers.get("Want-Repr-Digest"))
    await exchange.respond(response)


def filled(start: str, unit: str, end: str = "", size: int = SIZE) -> str:
    """Return a text of nearly ``size`` bytes, made of many units."""
    return start + unit * ((size - len((start + unit + end).encode())) // len(unit.encode())) + end


@dataclass(frozen=True, slots=True)
class Case:
    """A field that may cost no more than an unknown one, and the request that parses it."""

    reader: str
    name: str
    value: str
    lines: int = 1  # with this value

    def __str__(self) -> str:
        return f"{self.reader} {self.name}: {self.value[:12]}… in {self.lines}"

    def sent(self, name: str) -> bytes:
        """Return the request with this field, or with another name and the same value."""
        method, _, target = self.reader.partition(" ")
        lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {self.value}"] * self.lines]
        if name != "Host":
            lines.append("Host: here")
        if name not in PLAIN:
            lines.append("TE: a")  # makes h11 read this head, whatever the field
        if method == "POST" and name != "Content-Length":
            lines.append("Content-Length: 1")
        return "\r\n".join([*lines, "", "x" if method == "POST" else ""]).encode()

    @property
    def pair(self) -> tuple[bytes, bytes]:
        """The request, and the same request with an unknown field."""
        unknown = "X-Unknown" if self.name in PLAIN else "X-Special"
        return self.sent(self.name), self.sent(unknown)


# Fields that do not prevent the fast path past h11.
PLAIN = {
    "Accept",
    "Accept-Encoding",
    "Content-Digest",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Origin",
    "Range",
    "Repr-Digest",
    "Sec-Fetch-Site",
    "Want-Repr-Digest",
    "X-Unknown",
}

LISTS = ["a,", "a;q=1,", ",", "a;b,", "a;", "a;=", ' ;a="\\', "a/a;q=0.123, "]
TAGS = ['"",', 'W/"",', '"\xe9" , ', ",", '"']
MEMBERS = ['a="\\"",', "a,", "a;a=1,", "a=:AA==:,", "a;  a=1", "a=1;a"]
DATES = ["Sun, ", "0", " "]

PARSERS: dict[tuple[str, str], list[str]] = {
    ("GET /", "Accept-Encoding"): [filled("a", unit, "a") for unit in LISTS],
    ("GET /error", "Accept"): [filled("a", unit, "a") for unit in LISTS],
    ("GET /trailers", "TE"): [filled("a", unit, "a") for unit in LISTS],
    ("PUT /change", "Content-Encoding"): [filled("identity,", unit, "a") for unit in LISTS],
    ("GET /", "If-None-Match"): [filled('"",', unit, '""') for unit in TAGS],
    ("GET /", "If-Match"): [filled('"",', unit, '""') for unit in TAGS],
    ("PUT /change", "If-None-Match"): [filled('"",', unit, '""') for unit in TAGS],
    ("PUT /change", "If-Match"): [filled('"",', unit, '""') for unit in TAGS],
    ("GET /", "If-Range"): [filled('"', unit, '"') for unit in ("a", *TAGS, *DATES)],
    ("GET /", "If-Modified-Since"): [filled("S", unit, "T") for unit in DATES],
    ("GET /", "If-Unmodified-Since"): [filled("S", unit, "T") for unit in DATES],
    ("GET /", "Range"): [
        filled("bytes=0-1", unit, "9") for unit in ("9", ",", ", 2-3", ",-1", "0", " ")
    ],
    ("GET /digest", "Want-Repr-Digest"): [filled("a", unit, "a") for unit in MEMBERS],
    ("PUT /change", "Repr-Digest"): [
        *[filled("a", unit, "a") for unit in MEMBERS],
        filled("sha-256=:", "A", ":"),
    ],
    ("PUT /change", "Content-Digest"): [filled("a", unit, "a") for unit in MEMBERS],
    ("GET /cookies", "Cookie"): [
        filled("a", unit, "a") for unit in ('a="";', "a=b;", ";", "a=", "=;", "a ;")
    ],
    ("POST /text", "Content-Type"): [
        filled('text/plain; charset="', "\\a", '"'),
        *[filled("text/plain", unit, "a") for unit in (";a=b", "; ", "/", ";charset=a")],
    ],
    ("POST /form", "Content-Type"): [
        filled("multipart/form-data", unit, "a") for unit in (";a=b", '; boundary="\\a')
    ],
    ("POST /change", "Origin"): [filled("a", "://", "a")],
    ("POST /change", "Sec-Fetch-Site"): [filled("a", ",a")],
    ("GET /", "Connection"): [filled("a", ",a")],
    ("GET /", "Upgrade"): [filled("a", ",a")],
    ("GET /", "Transfer-Encoding"): [filled("a", ",a"), filled("", ",", ",chunked")],
    ("GET /", "Expect"): [filled("a", ",a")],
    ("GET /", "Keep-Alive"): [filled("a", ",a")],
    ("POST /", "Content-Length"): [filled("", "1"), filled("1", ", 1")],
    ("GET /", "Host"): [filled("", unit) for unit in ("%41", "a.", "[::", ":1")],
}
CASES = [Case(*parser, value) for parser, values in PARSERS.items() for value in values]
# The maximum number of lines, less those of every request.
CASES += [
    Case(reader, name, filled("a", unit, "a", SIZE // 90 - 20), 90)
    for reader, name, unit in (
        ("GET /", "Accept-Encoding", ",a"),
        ("GET /error", "Accept", ";a"),
        ("GET /", "If-None-Match", ',""'),
        ("GET /cookies", "Cookie", ";a=b"),
        ("GET /", "Connection", ",a"),
    )
]
# Counting the processor's instructions takes long, so only the first value is counted, and only
# one of several similar parsers.
COUNTED = [
    Case(*parser, PARSERS[parser][0])
    for parser in (
        ("GET /", "Accept-Encoding"),
        ("GET /error", "Accept"),
        ("GET /trailers", "TE"),
        ("GET /", "If-None-Match"),
        ("PUT /change", "If-Match"),
        ("GET /", "If-Range"),
        ("GET /", "If-Modified-Since"),
        ("GET /", "Range"),
        ("GET /digest", "Want-Repr-Digest"),
        ("PUT /change", "Repr-Digest"),
        ("GET /cookies", "Cookie"),
        ("POST /text", "Content-Type"),
        ("GET /", "Connection"),
        ("GET /", "Host"),
    )
]

# A target has less room, and each of its bytes may be an escape or a separator.
TARGETS = [
    *(filled("/query?", unit, size=TARGET) for unit in ("&", "a&", "a=b&", "%41", "+", "\xa1")),
    "/query?" + "a=b&" * 999,
    *(filled("/segments", unit, size=TARGET) for unit in ("/", "/a", "%41", "/%41", "/..", "/.")),
    filled("http://", "a", "/", size=TARGET),
    filled("/", "%", size=TARGET),
]


def report(event: object) -> None:
    """Escape the request line as the log does."""
    printable(getattr(event, "line", b""))


async def answer_to(sent: bytes) -> int:
    """Return the status of the response to a request on its own connection."""
    async with open_client(app, report=report) as client:
        await client.send(sent)
        return (await client.response()).status


def start_counting(*options: str) -> None:
    """Start callgrind's counting; everything before runs several times as fast."""
    command = ["vgdb", f"--pid={os.getpid()}", *options, "instrumentation", "on"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as switch:
        while switch.poll() is None:  # valgrind only listens while the program runs
            pass


async def main() -> None:
    pairs = [case.pair for case in COUNTED]
    for field, _ in pairs:
        await answer_to(field)  # one-time work is not counted
    start_counting(*sys.argv[1:])
    for pair in pairs:
        for sent in pair:
            os.getppid()
            await answer_to(sent)
    os.getppid()


if __name__ == "__main__":
    trio.run(main)
