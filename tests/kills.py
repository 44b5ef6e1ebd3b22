"""Kill a server at random moments of uploads and deletions, and look at what is left.

``python -m tests.kills DIR`` does so in an empty directory and prints figures. Every second
server runs as if the system had no unnamed files (``O_TMPFILE``). After each kill, every file
must be whole and hold what it held before the interrupted request or what this would have
stored; what was acknowledged must be there. The next server must remove all parts.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from trio_http.file_server.permissions import is_part
from trio_http.testing import Client

CHECKOUT = Path(__file__).parents[1]

UNNAMED, NAMED = "with O_TMPFILE", "without O_TMPFILE"

SERVER = """
import sys

from trio_http.__main__ import main
from trio_http.file_server import unfinished_upload

if sys.argv.pop(1) == "without O_TMPFILE":
    unfinished_upload.UNNAMED = 0
sys.exit(main())
"""

CLIENTS, NAMES = 4, 6
FOLDERS = ("", "a/", "a/b/")
LARGEST = 4 * 1024 * 1024

# Seconds: for a server to listen, to remove parts, or to end; and until it is killed.
PATIENCE = 30
LATEST = 0.4

# The head of a file's content is its version and its number of lines; all lines are alike.
LINE = 16
_LINE = re.compile(rb"([0-9]{8})([0-9]{8})")


def content_of(version: int, lines: int) -> bytes:
    return b"%08d%08d" % (version, lines) * lines


def version_in(content: bytes) -> int | None:
    """Return the version of a whole file, or None if it is torn."""
    head = _LINE.match(content)
    if head is None:
        return None
    version, lines = map(int, head.groups())
    return version if content == content_of(version, lines) else None


@dataclass(slots=True)
class Name:
    """The versions that a file may have: 0 is no file."""

    stored: int = 0
    pending: int = 0


@dataclass(slots=True)
class Tally:
    """The results of all rounds of one kind."""

    kills: int = 0
    acknowledged: int = 0
    files: int = 0
    torn: int = 0
    wrong: int = 0
    parts: int = 0
    size: int = 0
    left: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} changes acknowledged, {self.files} files "
            f"looked at, {self.torn} torn, {self.wrong} neither old nor new; {self.parts} parts "
            f"({self.size / 2**20:.1f} MiB) after the kills, {self.left} after the next starts "
            f"(removed within {self.slowest:.2f} s)"
        )


@dataclass(slots=True)
class Trial:
    root: Path
    names: dict[str, Name] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=lambda: {UNNAMED: Tally(), NAMED: Tally()})
    version: int = 0

    async def run(self, rounds: int) -> None:
        """Do this number of rounds, and end with a start that only removes parts."""
        for folder in FOLDERS:
            (self.root / folder).mkdir(exist_ok=True)
        before = None
        for number in range(rounds):
            way = (UNNAMED, NAMED)[number % 2]
            with trio.fail_after(3 * PATIENCE):
                await self._round(way, before)
            before = self.tallies[way]
            self._look(before)
        async with server(self.root, UNNAMED):
            await self._await_removal(before)

    async def _round(self, way: str, before: Tally | None) -> None:
        async with server(self.root, way) as (process, port):
            await self._await_removal(before)
            async with trio.open_nursery() as nursery:
                for client in range(CLIENTS):
                    nursery.start_soon(self._change, port, client, self.tallies[way])
                await trio.sleep(random.uniform(0, LATEST))
                process.kill()
                await process.wait()

    async def _await_removal(self, tally: Tally | None) -> None:
        """Wait until the server has removed the parts of the one before."""
        began = time.monotonic()
        with trio.move_on_after(PATIENCE):
            while any(self._parts()):  # noqa: ASYNC110 - nothing tells when a file is removed
                await trio.sleep(0.01)
        if tally is not None:
            tally.slowest = max(tally.slowest, time.monotonic() - began)
            tally.left += len(list(self._parts()))

    async def _change(self, port: int, client: int, tally: Tally) -> None:
        """Store and delete files until the server is killed."""
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                connection = Client(stream)
                while True:
                    await self._change_one(connection, client)
                    tally.acknowledged += 1
        except (OSError, EOFError, trio.BrokenResourceError):
            pass  # killed

    async def _change_one(self, connection: Client, client: int) -> None:
        path = f"{random.choice(FOLDERS)}{client}-{random.randrange(NAMES)}"
        name = self.names.setdefault(path, Name())
        method, body = "DELETE", b""
        name.pending = 0
        if not name.stored or random.random() < 0.7:
            self.version += 1
            name.pending = self.version
            size = LARGEST ** random.uniform(0.5, 1)  # as many small ones as large ones
            method, body = "PUT", content_of(self.version, int(size / LINE))
        status = (await connection.request(method, f"/{path}", {"Host": "localhost"}, body)).status
        if status not in {201, 204}:
            raise ValueError(f"{method} of {path} got {status}")
        name.stored = name.pending

    def _look(self, tally: Tally) -> None:
        tally.kills += 1
        for path, name in self.names.items():
            there = self.root / path
            found = version_in(there.read_bytes()) if there.exists() else 0
            tally.files += 1
            tally.torn += found is None
            tally.wrong += found is not None and found not in {name.stored, name.pending}
            name.stored = name.pending = found or 0
        for part in self._parts():
            tally.parts += 1
            tally.size += part.stat().st_size

    def _parts(self) -> Iterator[Path]:
        return (path for path in self.root.rglob("*") if is_part(path.name))


@asynccontextmanager
async def server(root: Path, way: str) -> AsyncIterator[tuple[trio.Process, int]]:
    """Yield a server and its port; leaving the block kills it."""
    command = [sys.executable, "-c", SERVER, way, "files", str(root), "--writable"]
    process = await trio.lowlevel.open_process(
        [*command, "-b", "127.0.0.1:0"], cwd=CHECKOUT, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        said = b""
        with trio.fail_after(PATIENCE):
            while (port := re.search(rb"Listening on [0-9.]+:([0-9]+)", said)) is None:
                said += await process.stderr.receive_some() or b"it has ended: Listening on 0:0"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drop, process.stderr)
            yield process, int(port[1])
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        await process.wait()


async def drop(stream: trio.abc.ReceiveStream) -> None:
    async for _ in stream:
        pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 if a file was harmed or a part stayed."""
    parser = argparse.ArgumentParser("python -m tests.kills", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="an empty directory")
    parser.add_argument("--rounds", type=int, default=200, help="number of kills (default: 200)")
    options = parser.parse_args(arguments)
    if any(options.directory.iterdir()):
        parser.error(f"{options.directory} is not empty")
    trial = Trial(options.directory)
    trio.run(trial.run, options.rounds)
    for way, tally in trial.tallies.items():
        print(f"{way}: {tally}")
    return int(any(tally.torn or tally.wrong or tally.left for tally in trial.tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
