"""The project's goals, as ratios to other servers and a few figures, compared with a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from .peers import BESIDE, OURS
from .report import Summary, number, ratio


@dataclass(frozen=True, slots=True)
class Against:
    """The figure of trio_http in a case as a multiple of another server's, within these limits."""

    case: str
    peer: str
    at_least: float = 0
    at_most: float = inf


@dataclass(frozen=True, slots=True)
class Beside:
    """The figure of trio_http as a multiple of its own in ``plain``, in the same rounds."""

    case: str
    at_least: float = 0


@dataclass(frozen=True, slots=True)
class Alone:
    """An upper limit for trio_http in a case."""

    case: str
    at_most: float


@dataclass(frozen=True, slots=True)
class Late:
    """The 99th percentile of trio_http in a case, below another server's."""

    case: str
    peer: str


Goal: TypeAlias = Against | Beside | Alone | Late

GOALS: tuple[Goal, ...] = (
    Against("plain", "uvicorn", 1.3),
    Against("plain", "granian", 1.0),
    Against("plain", "hypercorn", 20),
    Against("plain", "trio", 0.65),
    Against("echo", "starlette", 1.4),
    Against("echo", "aiohttp", 1.6),
    Against("browser", "uvicorn", 1.2),
    Against("close", "uvicorn", 1.3),
    Against("close", "granian", 0.8),
    Against("post", "trio-h11", 0.9),
    Against("post", "uvicorn-h11", 1.2),
    Against("stream", "trio-h11", 0.9),
    Against("stream", "uvicorn-h11", 1.2),
    Against("file-1k", "nginx", 0.4),
    Against("file-100k", "nginx", 0.7),
    Against("file-10m", "nginx", 1.0),
    Against("file-1k", "aiohttp", 5),
    Against("file-100k", "aiohttp", 5),
    Against("file-10m", "aiohttp", 1.5),
    Against("upload-1m", "aiohttp", 1.3),
    Against("upload-32m", "aiohttp", 1.3),
    Alone("upload-memory", 2),  # "flat": the noise of a server
    Against("gzip", "nginx", 2),
    Against("gzip", "starlette", 20),
    Beside("connections-1000", 0.8),
    Beside("connections-10000", 0.6),
    Late("connections-1000", "uvicorn"),
    Late("connections-10000", "uvicorn"),
    Against("connections-1", "uvicorn", 1.0),  # one connection: the rate shows the latency
    Alone("idle-memory", 6),
    Beside("log", 0.75),
    Against("workers-2", "uvicorn"),
    Against("workers-2", "granian"),
    Beside("workers-2"),
    Against("import", "trio", at_most=1.3),
    Alone("start", 400),
)


def judged(cases: Mapping[str, Mapping[str, Summary]], goals: Sequence[Goal] = GOALS) -> list[str]:
    """Return a line for every goal about which the run has results."""
    return [line for goal in goals if (line := _judged(cases, goal)) is not None]


def _judged(cases: Mapping[str, Mapping[str, Summary]], goal: Goal) -> str | None:
    known = cases.get(goal.case, {})
    ours = known.get(OURS)
    if ours is None:
        return None
    match goal:
        case Against(name, peer, low, high):
            return _compared(f"{name}, to {peer}", known, peer, low, high)
        case Beside(name, low):
            return _compared(f"{name}, to our plain", known, BESIDE, low, inf)
        case Alone(name, high):
            return _line(name, ours.value, 0, high)
        case Late(name, peer):
            theirs = known.get(peer)
            if theirs is None or theirs.late is None or ours.late is None:
                return None
            return _line(f"{name}, p99 to {peer}", ours.late / theirs.late, 0, 1)


def _compared(
    what: str, known: Mapping[str, Summary], peer: str, low: float, high: float
) -> str | None:
    found = ratio(known, OURS, peer)
    if found is None:
        return None
    line = _line(what, found, low, high)
    # Inverted, so that more is better: responses per second of CPU time.
    ours, theirs = known[OURS].cpu, known[peer].cpu
    return line if not ours or theirs is None else f"{line}, by CPU time {number(theirs / ours)}"


def _line(what: str, found: float, low: float, high: float) -> str:
    verdict = "reached" if low <= found <= high else "MISSED"
    if low:
        wanted = f" (≥ {low:g})"
    elif high < inf:
        wanted = f" (≤ {high:g})"
    else:
        verdict, wanted = "info", ""
    return f"  {verdict:<7}  {what}: {number(found)}{wanted}"
