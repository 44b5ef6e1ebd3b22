"""What holds for a whole run, and how a server in it comes up."""

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

# Seconds within which a server that was started answers.
PATIENCE = 20

# Descriptors that a process needs besides its connections.
SPARE = 200


@dataclass(slots=True)
class Result:
    """What one server has shown in one case, or why it has not."""

    case: Case
    peer: str
    samples: list[Sample] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """How everything in a run is measured."""

    tool: Tool
    cores: Cores
    rounds: int
    seconds: int
    idle: int  # connections that are opened to see what one costs
    descriptors: int  # that a process may have
    directory: Path  # with the files that are served and stored
    begin: Callable[[Case, list[str]], None]  # is told of each case and who is in it
    show: Callable[[list[Result]], None]  # and what came of it

    def cores_in(self, manner: Manner) -> Cores:
        """Where servers run, and the load."""
        return self.cores if manner.processes == 1 else Cores(None, None)

    def spawn(self, command: list[str], name: str, manner: Manner = USUALLY) -> Spawn:
        """A command on the servers' core; what it says goes to a file of that name."""
        environment = {"BENCHMARK_DIRECTORY": str(self.directory), "PYTHONPATH": str(CHECKOUT)}
        output = self.directory / f"{name}.log"
        return Spawn(command, environment, CHECKOUT, output, self.cores_in(manner).server)


@dataclass(frozen=True, slots=True)
class Up:
    """A server that answers, and the session that its processes are in."""

    session: int
    port: int
    output: Path  # what it and its log have said


class NotUpError(Exception):
    """A server that did not start, and the last that it said."""


@contextmanager
def up(run: Run, peer: Peer, manner: Manner = USUALLY) -> Iterator[Up]:
    """Start a server and wait for its first answer; leaving ends it."""
    port = free_port()
    folder = run.directory / f"{peer.name}-{port}"
    folder.mkdir(exist_ok=True)
    command = peer.command(Setup(port, manner, run.directory, folder, run.descriptors))
    spawn = run.spawn(command, folder.name, manner)
    with running(spawn) as process:
        _wait(process, port, spawn.output)
        yield Up(process.pid, port, spawn.output)


def free_port() -> int:
    """A port that nobody listens at now, and that no client is soon given."""
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
                raise NotUpError(f"did not start: {said[-1] if said else 'silently'}") from None
            time.sleep(0.002)
        else:
            return
