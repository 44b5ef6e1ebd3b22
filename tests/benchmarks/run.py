"""The parameters of a whole run, and the start of its servers."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11

from .asks import Ask
from .cases import USUALLY, Case, Manner
from .check import ask_once
from .load import Sample, Tool
from .peers import CHECKOUT, Peer, Setup
from .processes import Cores, Spawn, running

# Seconds within which a started server responds.
PATIENCE = 20

# Descriptors that a process needs besides its connections.
SPARE = 200


@dataclass(slots=True)
class Result:
    """The samples of one server in one case, or its problem."""

    case: Case
    peer: str
    samples: list[Sample] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The parameters of all measurements in a run."""

    tool: Tool
    cores: Cores
    rounds: int
    seconds: int
    idle: int  # connections that are opened to measure the memory of one
    descriptors: int  # the limit of each process
    directory: Path  # contains the files that are served and stored
    begin: Callable[[Case, list[str]], None]  # called with each case and the names of its servers
    show: Callable[[list[Result]], None]  # called with the results

    def cores_in(self, manner: Manner) -> Cores:
        """Return the cores of servers and load."""
        return self.cores if manner.processes == 1 else Cores(None, None)

    def spawn(self, command: list[str], name: str, manner: Manner = USUALLY) -> Spawn:
        """Return how to run a command on the servers' core; its output goes to ``name``.log."""
        environment = {"BENCHMARK_DIRECTORY": str(self.directory), "PYTHONPATH": str(CHECKOUT)}
        output = self.directory / f"{name}.log"
        return Spawn(command, environment, CHECKOUT, output, self.cores_in(manner).server)


@dataclass(frozen=True, slots=True)
class Up:
    """A server that responds, and the session of its processes."""

    session: int
    port: int
    output: Path  # the output of the server and its log


class NotUpError(Exception):
    """A server that did not start, and the last line of its output."""


@contextmanager
def up(run: Run, peer: Peer, manner: Manner = USUALLY) -> Iterator[Up]:
    """Start a server and wait for its first response; leaving the block ends it."""
    port = free_port()
    folder = run.directory / f"{peer.name}-{port}"
    folder.mkdir(exist_ok=True)
    command = peer.command(Setup(port, manner, run.directory, folder, run.descriptors))
    spawn = run.spawn(command, folder.name, manner)
    with running(spawn) as process:
        _wait(process, port, spawn.output)
        yield Up(process.pid, port, spawn.output)


def free_port() -> int:
    """Return a free port that the system will not soon give to a client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ask_once(port, Ask())
        except (OSError, h11.RemoteProtocolError):
            if process.poll() is not None or time.monotonic() > deadline:
                said = output.read_text("utf-8", "replace").strip().splitlines()
                raise NotUpError(f"did not start: {said[-1] if said else 'no output'}") from None
            time.sleep(0.002)
        else:
            return
