"""Measures one case after the other, with servers taking turns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

import h11

from .cases import KIB, Case, Load, Log, Manner
from .check import ask_once, checked
from .costs import costs_of
from .load import LoadError, Sample, Target, able
from .peers import BESIDE, OURS, Peer
from .processes import cpu_seconds
from .run import SPARE, NotUpError, Result, Run, Up, up

# Requests that a server gets before it is timed, each on a new connection.
WARMING = 50

# Seconds that further processes of a server may take after the first has responded.
JOINING = 1


def measure(run: Run, cases: Sequence[Case], peers: Sequence[Peer]) -> None:
    """Measure one case after the other, each with all servers that can take part."""
    loads = [case for case in cases if isinstance(case, Load)]
    for manner in dict.fromkeys(load.manner for load in loads):
        alike = [load for load in loads if load.manner == manner]
        _measure_loads(run, alike, [peer for peer in peers if _any(peer, alike)], manner)
    for case in cases:
        if not isinstance(case, Load):
            fit = [peer for peer in peers if peer.takes_part_in(case)]
            run.begin(case, [peer.name for peer in fit])
            run.show(costs_of(run, case, fit))


def _any(peer: Peer, cases: Iterable[Case]) -> bool:
    return any(peer.takes_part_in(case) for case in cases)


@dataclass(frozen=True, slots=True)
class _Turn:
    """A server, its load, and its result."""

    server: Up | str  # or why it did not start
    load: Load
    result: Result


def _measure_loads(run: Run, loads: Sequence[Load], peers: Sequence[Peer], manner: Manner) -> None:
    # All servers are up at once: a server that waits for its turn costs the others nothing.
    with ExitStack() as frame:
        servers = {peer.name: _started(run, frame, peer, manner) for peer in peers}
        beside = {load.beside.manner for load in loads if load.beside is not None}
        ours = {
            each: servers[OURS] if each == manner else _started(run, frame, peer, each)
            for peer in peers
            if peer.name == OURS
            for each in {manner, *beside}
        }
        if manner.processes > 1:
            time.sleep(JOINING)
        for load in loads:
            fit = [peer.name for peer in peers if peer.takes_part_in(load)]
            run.begin(load, fit)
            turns = [_turn(run, servers[name], load, Result(load, name)) for name in fit]
            if load.beside is not None and OURS in fit:
                turns.append(
                    _turn(run, ours[load.beside.manner], load.beside, Result(load, BESIDE))
                )
            _take(run, turns)
            run.show([turn.result for turn in turns])


def _started(run: Run, frame: ExitStack, peer: Peer, manner: Manner) -> Up | str:
    try:
        return frame.enter_context(up(run, peer, manner))
    except NotUpError as error:
        return str(error)


def _turn(run: Run, server: Up | str, load: Load, result: Result) -> _Turn:
    result.problem = _unfit(run, load, server)
    return _Turn(server, load, result)


def _take(run: Run, turns: Sequence[_Turn]) -> None:
    for _ in range(run.rounds):
        for turn in turns:
            if isinstance(turn.server, Up) and turn.result.problem is None:
                try:
                    turn.result.samples.append(_timed(run, turn.load, turn.server))
                except LoadError as error:
                    turn.result.problem = str(error)


def _unfit(run: Run, load: Load, server: Up | str) -> str | None:
    """Return why a server cannot be timed at a load, or None; also warm it up."""
    if isinstance(server, str):
        return server
    if load.connections + SPARE > run.descriptors:
        return f"this system allows only {run.descriptors} descriptors"
    said = server.output.stat().st_size
    wrong = checked(server.port, load, run.directory)
    if wrong is None and load.ask.size <= KIB:
        with suppress(OSError, h11.RemoteProtocolError):  # the load will report the error
            for _ in range(WARMING):
                ask_once(server.port, load.ask, load.pipelined)
    if wrong is None and load.manner.log is Log.ON and server.output.stat().st_size == said:
        return "wrote no access log"
    return wrong


def _timed(run: Run, load: Load, server: Up) -> Sample:
    seconds = max(run.seconds, load.least_seconds)
    target = Target(load, server.port, seconds, run.directory)
    before = cpu_seconds(server.session)
    answers, sample = able(run.tool, load).run(target, run.cores_in(load.manner).load)
    after = cpu_seconds(server.session)
    if load.pipelined > 1:  # the latency of pipelined requests is unknown
        sample = replace(sample, middle=None, late=None)
    if before is None or after is None or not answers:
        return sample
    return replace(sample, cpu=(after - before) / answers)
