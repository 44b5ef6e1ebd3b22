"""The servers of a comparison: their command lines, and their abilities."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import nginx
from .cases import SIZES, UPLOAD_SIZES, Ability, Case, Log, Manner

CHECKOUT = Path(__file__).parents[2]
SERVERS = "tests.benchmarks.servers"

# The accept queue, and the seconds of the keep-alive time-out: the same for all.
BACKLOG, KEEP_ALIVE = "4096", "75"

ALL = frozenset(Ability) - {Ability.WORKERS}
BARE_ASGI = frozenset({Ability.TEXT, Ability.ECHO, Ability.POST, Ability.STREAM, Ability.LOG})


@dataclass(frozen=True, slots=True)
class Setup:
    """The way to run a server; ``folder`` is for its own files."""

    port: int
    manner: Manner
    directory: Path
    folder: Path
    descriptors: int

    @property
    def log(self) -> Log:
        return self.manner.log

    @property
    def processes(self) -> str:
        return str(self.manner.processes)

    @property
    def bind(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its command lines, and the requirements to run it."""

    name: str
    title: str
    abilities: frozenset[Ability]
    command: Callable[[Setup], list[str]]
    shortest: tuple[str, ...]  # a command that only imports, and ends
    packages: tuple[str, ...] = ()
    absent: Callable[[], str | None] = lambda: None  # returns why it cannot take part
    only: frozenset[str] | None = None  # cases; in others it would only repeat their results

    def takes_part_in(self, case: Case) -> bool:
        return case.ability in self.abilities and (self.only is None or case.name in self.only)


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _either(log: Log, on: list[str], off: list[str]) -> list[str]:
    return on if log is Log.ON else off


def _ours(*options: str) -> Callable[[Setup], list[str]]:
    def command(setup: Setup) -> list[str]:
        level = _either(setup.log, ["info"], ["warning"])
        arguments = ["--bind", setup.bind, *options, "--log-level", *level]
        if setup.manner.processes > 1:
            arguments += ["--workers", setup.processes]
        return _python("-m", "trio_http", "app", f"{SERVERS}.ours:app", *arguments)

    return command


def _uvicorn(app: str, http: str, loop: str) -> Callable[[Setup], list[str]]:
    def command(setup: Setup) -> list[str]:
        log = _either(
            setup.log,
            ["--access-log", "--log-level", "info"],
            ["--no-access-log", "--log-level", "warning"],
        )
        place = ["--host", "127.0.0.1", "--port", str(setup.port), "--backlog", BACKLOG]
        return _python(
            "-m",
            "uvicorn",
            f"{SERVERS}.{app}:app",
            *("--http", http, "--loop", loop, "--ws", "none", "--lifespan", "off"),
            *(*place, *log, "--timeout-keep-alive", KEEP_ALIVE, "--workers", setup.processes),
        )

    return command


def _hypercorn(app: str) -> Callable[[Setup], list[str]]:
    def command(setup: Setup) -> list[str]:
        log = _either(
            setup.log,
            ["--access-logfile", "-", "--log-level", "info"],
            ["--log-level", "warning"],
        )
        return _python(
            "-m",
            "hypercorn",
            f"{SERVERS}.{app}:app",
            *("-k", "trio", "-b", setup.bind, "--backlog", BACKLOG),
            *("--keep-alive", KEEP_ALIVE, *log),
        )

    return command


def _granian(setup: Setup) -> list[str]:
    log = _either(setup.log, ["--access-log"], ["--no-access-log", "--log-level", "warning"])
    return _python(
        "-m",
        "granian",
        f"{SERVERS}.asgi:app",
        *("--interface", "asgi", "--http", "1", "--no-ws", "--loop", "uvloop"),
        *("--workers", setup.processes, "--runtime-threads", "1", "--backlog", BACKLOG),
        *("--host", "127.0.0.1", "--port", str(setup.port), *log),
        *("--static-path-route", "/files", "--static-path-mount", str(setup.directory / "files")),
    )


def _aiohttp(setup: Setup) -> list[str]:
    return _python("-m", f"{SERVERS}.aiohttp_app", str(setup.port), setup.log.value)


def _floor(name: str) -> Callable[[Setup], list[str]]:
    return lambda setup: _python("-m", f"{SERVERS}.{name}", str(setup.port))


def _nginx(setup: Setup) -> list[str]:
    text = nginx.configuration(setup.port, setup.manner, setup.directory, setup.descriptors)
    (setup.folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(setup.folder), "-c", "nginx.conf", "-e", "stderr"]


def _nginx_absent() -> str | None:
    if shutil.which("nginx") is None:
        return "nginx is not installed"
    said = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False).stderr
    return None if "http_dav_module" in said else "this nginx was built without WebDAV"


@cache
def _no_plain_absent() -> str | None:
    said = subprocess.run(
        _python("-m", "trio_http", "app", "--help"),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return None if "--no-fast-path" in said else "trio-http has no option --no-fast-path"


OURS = "ours"
NO_PLAIN = "ours-no-plain"
BESIDE = "ours-beside"  # not a separate server, but trio_http in another case
VERSION = ("-m", "trio_http", "--version")
IMPORTS = ("-c", "import trio, h11")

# Cases that need a framework; in the others it makes Uvicorn no faster.
_BEYOND_UVICORN = frozenset(
    {"echo", "gzip", "upload-memory", "start"}
    | {f"file-{name}" for name in SIZES}
    | {f"upload-{name}" for name in UPLOAD_SIZES}
)

PEERS: tuple[Peer, ...] = (
    Peer(OURS, "trio_http", ALL | {Ability.WORKERS}, _ours(), VERSION),
    Peer(
        NO_PLAIN,
        "trio_http --no-fast-path",
        ALL,
        _ours("--no-fast-path"),
        VERSION,
        absent=_no_plain_absent,
    ),
    Peer(
        "hypercorn",
        "Hypercorn (trio)",
        BARE_ASGI,
        _hypercorn("asgi"),
        ("-m", "hypercorn", "--help"),
        packages=("hypercorn",),
        only=frozenset({"plain", "echo", "post", "stream", "idle-memory", "start"}),
    ),
    Peer(
        "uvicorn-h11",
        "Uvicorn (asyncio, h11)",
        BARE_ASGI,
        _uvicorn("asgi", "h11", "asyncio"),
        ("-m", "uvicorn", "--version"),
        packages=("uvicorn",),
        only=frozenset({"plain", "post", "stream"}),
    ),
    Peer(
        "uvicorn",
        "Uvicorn (uvloop, httptools)",
        BARE_ASGI | {Ability.WORKERS},
        _uvicorn("asgi", "httptools", "uvloop"),
        ("-m", "uvicorn", "--version"),
        packages=("uvicorn", "uvloop", "httptools"),
    ),
    Peer(
        "starlette",
        "Starlette on Uvicorn (uvloop, httptools)",
        ALL,
        _uvicorn("starlette_app", "httptools", "uvloop"),
        ("-c", "import uvicorn, uvloop, httptools, starlette.applications"),
        packages=("starlette", "uvicorn", "uvloop", "httptools"),
        only=_BEYOND_UVICORN,
    ),
    Peer(
        "starlette-hypercorn",
        "Starlette on Hypercorn (trio)",
        ALL,
        _hypercorn("starlette_app"),
        ("-c", "import trio, hypercorn.trio, starlette.applications"),
        packages=("starlette", "hypercorn"),
    ),
    Peer(
        "aiohttp",
        "aiohttp (asyncio)",
        ALL,
        _aiohttp,
        ("-c", "import aiohttp.web"),
        packages=("aiohttp",),
    ),
    Peer(
        "granian",
        "Granian (ASGI, uvloop)",
        BARE_ASGI | {Ability.FILES, Ability.WORKERS},
        _granian,
        ("-m", "granian", "--version"),
        packages=("granian", "uvloop"),
    ),
    Peer(
        "nginx",
        "nginx",
        ALL - {Ability.POST, Ability.STREAM} | {Ability.WORKERS},
        _nginx,
        (),
        absent=_nginx_absent,
    ),
    Peer(
        "trio",
        "bare Trio sockets, no parsing",
        frozenset({Ability.TEXT}),
        _floor("bare_trio"),
        IMPORTS,
    ),
    Peer(
        "trio-h11",
        "bare Trio + h11",
        frozenset({Ability.TEXT, Ability.POST, Ability.STREAM}),
        _floor("bare_h11"),
        IMPORTS,
        only=frozenset({"plain", "post", "stream", "idle-memory"}),
    ),
)

# A run leaves these out unless they are named, because they are rarely of interest.
UNUSUAL = {NO_PLAIN, "starlette-hypercorn"}


def reason_absent(peer: Peer) -> str | None:
    """Return why a server cannot take part on this system, or None if it can."""
    for package in peer.packages:
        try:
            version(package)
        except PackageNotFoundError:
            return f"{package} is not installed"
    return peer.absent()


def build_of_python() -> str:
    """Return the version and the build of the interpreter that runs all servers in Python.

    The build alone can make a difference of a factor of 1.4, and more for servers in Python
    than for those that call compiled code.
    """
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    system = None
    if sys.base_prefix == "/usr":
        with suppress(OSError):  # not Linux, or a distribution without a name
            system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return described_build(platform.python_version(), options, system)


def described_build(version: str, options: str, system: str | None) -> str:
    """Describe a build by its distribution or, without one, by its options."""
    if system is not None:
        return f"{version} (as packaged by {system})"
    flag = "with" if "--enable-optimizations" in options else "without"
    return f"{version} (built {flag} --enable-optimizations)"


def versions() -> dict[str, str]:
    """Return the exact versions of all software."""
    found = {"python": build_of_python()}
    packages = {package for peer in PEERS for package in peer.packages} | {"trio", "h11"}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if shutil.which("nginx"):
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
        found["nginx"] = said.strip().rpartition("/")[2]
    return found
