"""Costs of servers that do little or nothing; each is started anew to measure them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import h11

from .asks import Ask
from .cases import MIB, Case, Idle, Importing, Starting
from .check import PATIENCE, ask_once
from .load import Sample
from .peers import Peer
from .processes import forget_peak, memory, on_core
from .run import SPARE, NotUpError, Result, Run, Up, up

# Connections that stay open throughout, so that everything that a server makes only once exists
# before its memory is measured.
FIRST = 64

# Seconds until a server has finished its work after a response.
SETTLING = 0.3

LARGE = Ask("PUT", "/uploads/large", size=32 * MIB)
SMALL = Ask("PUT", "/uploads/small", size=MIB)


class NotKnownError(Exception):
    """A cost that cannot be measured."""


_FAILURES = (
    NotUpError,
    NotKnownError,
    OSError,
    h11.RemoteProtocolError,
    subprocess.SubprocessError,
)


def costs_of(run: Run, case: Case, peers: Sequence[Peer]) -> list[Result]:
    """Return the cost of each server, measured in turn."""
    results = [Result(case, peer.name) for peer in peers]
    # Memory is the same in each round, times are not.
    for _ in range(run.rounds if isinstance(case, Importing | Starting) else 1):
        for peer, result in zip(peers, results, strict=True):
            if result.problem is None:
                _add(run, peer, result)
    return results


def _add(run: Run, peer: Peer, result: Result) -> None:
    try:
        result.samples.append(Sample(_cost(run, result.case, peer)))
    except _FAILURES as error:
        result.problem = str(error)


def _cost(run: Run, case: Case, peer: Peer) -> float:
    match case:
        case Importing():
            return _importing(run, peer)
        case Starting():
            began = time.perf_counter()
            with up(run, peer):
                return (time.perf_counter() - began) * 1000
        case Idle():
            with up(run, peer) as server:
                return _idle(server, min(run.idle, run.descriptors - SPARE - FIRST))
        case _:
            with up(run, peer) as server:
                return _growth(server)


def _importing(run: Run, peer: Peer) -> float:
    if not peer.shortest:
        raise NotKnownError("it imports nothing")
    spawn = run.spawn([sys.executable, *peer.shortest], f"{peer.name}-import")
    with on_core(spawn.core):
        began = time.perf_counter()
        subprocess.run(
            spawn.command,
            env={**os.environ, **spawn.environment},
            cwd=spawn.folder,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return (time.perf_counter() - began) * 1000


def _idle(server: Up, connections: int) -> float:
    with ExitStack() as frame:
        _hold(frame, server.port, FIRST)
        before = _weighed(server)
        _hold(frame, server.port, connections)
        return (_weighed(server) - before) / connections / 1024


def _hold(frame: ExitStack, port: int, connections: int) -> None:
    request = Ask().head(f"127.0.0.1:{port}")
    for _ in range(connections):
        connected = frame.enter_context(
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        )
        connected.sendall(request)
        if not connected.recv(65536):
            raise NotKnownError("it closed a connection that should have stayed")


def _weighed(server: Up, name: str = "VmRSS") -> int:
    time.sleep(SETTLING)
    found = memory(server.session, name)
    if found is None:
        raise NotKnownError("this system has no /proc")
    return found


def _growth(server: Up) -> float:
    ask_once(server.port, SMALL)
    before = _weighed(server)
    forget_peak(server.session)
    with ThreadPoolExecutor(4) as clients:
        for answers in clients.map(ask_once, [server.port] * 4, [LARGE] * 4):
            if answers[0].status not in {201, 204}:
                raise NotKnownError(f"responded with {answers[0].status}")
    return (_weighed(server, "VmHWM") - before) / MIB
