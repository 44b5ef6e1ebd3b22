"""The cases of the benchmark: one request again and again, or a cost of a server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .asks import BROWSER, CLOSE, Ask, Expected, noise
from .servers import content


class Ability(Enum):
    """An ability that a server needs to take part in a case."""

    TEXT = "respond with a text"
    ECHO = "route by a path's segment"
    POST = "echo a request body"
    STREAM = "send a response of unknown length"
    FILES = "serve files"
    UPLOADS = "store files"
    GZIP = "compress on the fly"
    LOG = "keep an access log"
    WORKERS = "serve with several processes"


class Better(Enum):
    """The direction of better values."""

    HIGHER = "higher"
    LOWER = "lower"


class Log(Enum):
    """The access log of a server: a line for each request, or none."""

    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Manner:
    """The way to run servers: one process has its own core, several share all with the load."""

    log: Log = Log.OFF
    processes: int = 1


USUALLY = Manner()


@dataclass(frozen=True, slots=True)
class Load:
    """As many responses as possible in a time; ``pipelined`` requests are sent at once."""

    name: str
    title: str
    ability: Ability
    ask: Ask
    expected: Expected
    connections: int = 64
    pipelined: int = 1
    manner: Manner = USUALLY
    least_seconds: int = 1  # connecting ten thousand clients takes more than a moment
    # Speed drifts, so another case of trio_http to compare with is measured in the same rounds.
    beside: Load | None = None

    unit = "requests/s"
    better = Better.HIGHER


@dataclass(frozen=True, slots=True)
class Idle:
    """The memory of a connection that has had one response and is idle."""

    name: str = "idle-memory"
    title: str = "memory per idle connection, after one request"
    ability: Ability = Ability.TEXT

    unit = "KiB"
    better = Better.LOWER


@dataclass(frozen=True, slots=True)
class Growth:
    """The additional memory at the peak of large uploads."""

    name: str = "upload-memory"
    title: str = "growth of memory while four bodies of 32 MiB are stored at once"
    ability: Ability = Ability.UPLOADS

    unit = "MiB"
    better = Better.LOWER


@dataclass(frozen=True, slots=True)
class Importing:
    """The time of a server's shortest command; for bare Trio, of ``import trio, h11``."""

    name: str = "import"
    title: str = "time of --version, or of the bare imports"
    ability: Ability = Ability.TEXT

    unit = "ms"
    better = Better.LOWER


@dataclass(frozen=True, slots=True)
class Starting:
    """The time from a server's start to its first response."""

    name: str = "start"
    title: str = "time from the start to the first response"
    ability: Ability = Ability.TEXT

    unit = "ms"
    better = Better.LOWER


Case: TypeAlias = Load | Idle | Growth | Importing | Starting


KIB, MIB = 1024, 1024 * 1024
SIZES = {"1k": KIB, "100k": 100 * KIB, "10m": 10 * MIB}
UPLOAD_SIZES = {"1k": KIB, "1m": MIB, "32m": 32 * MIB}

GREETING = Expected(media_type="text/plain", body=content.TEXT.encode())


def _said(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


PLAIN = Load("plain", "GET, 13 bytes of text", Ability.TEXT, Ask(), GREETING)


def _many(connections: int, least_seconds: int) -> Load:
    return Load(
        f"connections-{connections}",
        f"GET with {connections:,} connections".replace(",", " "),
        Ability.TEXT,
        Ask(),
        GREETING,
        connections,
        least_seconds=least_seconds,
        beside=PLAIN,
    )


def _file(name: str, connections: int) -> Load:
    return Load(
        f"file-{name}",
        f"a file of {_said(SIZES[name])}",
        Ability.FILES,
        Ask(path=f"/files/{name}.bin"),
        Expected(media_type="application/octet-stream", document=f"{name}.bin"),
        connections,
    )


def _upload(name: str, connections: int) -> Load:
    size = UPLOAD_SIZES[name]
    return Load(
        f"upload-{name}",
        f"PUT of {_said(size)}, stored",
        Ability.UPLOADS,
        Ask("PUT", f"/uploads/{name}", size=size),
        Expected(statuses=(201, 204)),
        connections,
    )


# In the order of the report; cases that raise a server's memory permanently are late.
CASES: tuple[Case, ...] = (
    PLAIN,
    Load(
        "echo",
        "GET /echo/abc, by router and handler",
        Ability.ECHO,
        Ask(path="/echo/abc"),
        Expected(media_type="text/plain", body=b"abc"),
    ),
    Load("browser", "GET as a browser sends it", Ability.TEXT, Ask(fields=BROWSER), GREETING),
    Load(
        "post",
        "POST of 100 bytes, echoed",
        Ability.POST,
        Ask("POST", size=100),
        Expected(media_type=content.STREAM_TYPE, body=noise(100)),
    ),
    Load(
        "stream",
        f"streamed response, {content.PIECES} pieces of 1 KiB",
        Ability.STREAM,
        Ask(path="/stream"),
        Expected(
            media_type=content.STREAM_TYPE,
            body=content.PIECE * content.PIECES,
            fields=(("Transfer-Encoding", "chunked"),),
        ),
    ),
    _file("1k", 64),
    _file("100k", 64),
    _file("10m", 8),  # responses in progress when the time is up are not counted
    _upload("1k", 64),
    _upload("1m", 8),
    _upload("32m", 2),
    Load(
        "gzip",
        "128 KiB of JSON, gzipped on the fly",
        Ability.GZIP,
        Ask(path="/json", fields=(("Accept-Encoding", "gzip"),)),
        Expected(
            media_type=content.JSON_TYPE,
            document=content.DOCUMENT,
            fields=(("Content-Encoding", "gzip"),),
        ),
        16,
    ),
    Load(
        "pipelined",
        "GET, 16 at once on each connection",
        Ability.TEXT,
        Ask(),
        GREETING,
        pipelined=16,
    ),
    Load(
        "close",
        "GET, a new connection for each",
        Ability.TEXT,
        Ask(fields=CLOSE),
        Expected(
            media_type="text/plain",
            body=content.TEXT.encode(),
            fields=(("Connection", "close"),),
        ),
    ),
    Load("connections-1", "GET with one connection", Ability.TEXT, Ask(), GREETING, 1),
    _many(1_000, 2),
    _many(10_000, 5),
    Load(
        "log",
        "GET with the access log on",
        Ability.LOG,
        Ask(),
        GREETING,
        manner=Manner(Log.ON),
        beside=PLAIN,
    ),
    Load(
        "workers-2",
        "GET, two processes on the cores of the load",
        Ability.WORKERS,
        Ask(),
        GREETING,
        manner=Manner(processes=2),
        least_seconds=2,
        beside=PLAIN,
    ),
    Idle(),
    Growth(),
    Importing(),
    Starting(),
)

QUICK = ("plain", "echo", "browser", "post", "file-1k", "gzip", "close", "start")
