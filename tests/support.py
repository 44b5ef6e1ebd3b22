"""Functions and constants for several test files. Fixtures are in ``conftest.py``."""

import os
import re
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import trio
import trustme

from trio_http.http1.exchange import App
from trio_http.semantics.bodies import Send, Stream
from trio_http.semantics.headers import NO_FIELDS
from trio_http.testing import Client

CHECKOUT = Path(__file__).parents[1]

# Seconds that a test waits for the kernel or for another process before it fails.
PATIENCE = 30


# Messages


class ReceivedBody:
    """A request body whose pieces have been received; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = iter(pieces)
        self.trailers = NO_FIELDS

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            return piece
        raise StopAsyncIteration

    def open_pipe(self) -> None:
        """Return no pipe: the pieces are in Python already."""


NO_BODY = ReceivedBody()


def stream_of(*pieces: bytes, length: int | None = None) -> Stream:
    """Return a response body that sends these pieces."""

    async def produce(send: Send) -> None:
        for piece in pieces:
            await send(piece)

    return Stream(produce, length)


# The process that runs the tests


@contextmanager
def as_unprivileged_user() -> Iterator[None]:
    """Respect file permissions within the block, which root does not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def open_descriptors() -> int:
    """Return how many file descriptors this process has open, this look at them included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def failing_with(number: int, attempt: int = 1) -> Callable[[int], None]:
    """Return an ``fsync`` that fails with this error at this attempt, and before does nothing."""
    attempts = count(1)

    def fsync(_: int) -> None:
        if next(attempts) == attempt:
            raise OSError(number, os.strerror(number))

    return fsync


# Connections


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """Connect to a port of 127.0.0.1; leaving the block closes the connection."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield Client(stream)


def tls_contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server that has this name and of clients that trust it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


# Programs


def environment() -> dict[str, str]:
    """Return the environment of a program that imports this checkout from any directory."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT)}


class Program:
    """A started program, and the lines that it has written to its standard error.

    Lines that ``unwanted`` finds are dropped.
    """

    def __init__(self, process: trio.Process, unwanted: str = r"(?!)") -> None:
        self.process = process
        self.errors = ""
        self.all_ended = trio.Event()
        self._unwanted = re.compile(unwanted)
        self._grown = trio.Event()

    async def read(self) -> None:
        """Keep the lines that the program writes, until no process can write any more."""
        assert self.process.stderr
        received = b""
        async for data in self.process.stderr:
            *lines, received = (received + data).split(b"\n")
            kept = [line for line in map(bytes.decode, lines) if not self._unwanted.search(line)]
            self.errors += "".join(f"{line}\n" for line in kept)
            self._grown.set()
            self._grown = trio.Event()
        self.all_ended.set()

    async def says(self, pattern: str, times: int = 1) -> list[str]:
        """Return the matches of a pattern as soon as there are ``times`` of them."""
        while len(found := re.findall(pattern, self.errors)) < times:
            await self._grown.wait()
        return found

    async def line_with(self, text: str) -> str:
        """Return the first line with this text, as soon as there is one."""
        line, *_ = await self.says(f".*{re.escape(text)}.*\n")
        return line.rstrip()

    async def port(self) -> int:
        """Return the port on which the program listens, as soon as it does."""
        (port,) = await self.says(r"\[SERVER STARTED\] Listening on .*:(\d+)\n")
        return int(port)

    async def pids(self, times: int = 2) -> list[int]:
        """Return the processes of the workers that have begun to listen, in that order."""
        found = await self.says(r"\[WORKER \d\] pid (\d+) is listening\n", times)
        return [int(pid) for pid in found]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)


@asynccontextmanager
async def started(
    command: Sequence[str],
    *,
    stderr: int = subprocess.PIPE,
    unwanted: str = r"(?!)",
    patience: float = PATIENCE,
) -> AsyncIterator[Program]:
    """Start a program that imports this checkout; leaving the block ends it."""
    start = partial(trio.run_process, command, env=environment(), stderr=stderr, check=False)
    with trio.fail_after(patience):
        # The program runs beside the test, and so does the task that reads from it.
        async with trio.open_nursery() as nursery:
            program = Program(await nursery.start(start), unwanted)
            if stderr == subprocess.PIPE:
                nursery.start_soon(program.read)
            yield program
            nursery.cancel_scope.cancel()


class Lifetime:
    """The frame around an app, which can be held up and made to fail."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.entered = trio.Event()
        self.may_begin = trio.Event()
        self.fails = trio.Event()
        self.is_over = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[App]:
        self.entered.set()
        try:
            await self.may_begin.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fail)
                yield self._app
                nursery.cancel_scope.cancel()
        finally:
            self.is_over = True

    async def _fail(self) -> None:
        await self.fails.wait()
        raise RuntimeError("the pool is \x1b[31mempty")
