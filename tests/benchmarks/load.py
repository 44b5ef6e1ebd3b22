"""Load generators: wrk if installed, else h2load, else the benchmark's own client."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .asks import noise
from .cases import Load
from .client import Orders
from .processes import on_core

# Seconds that a tool may run longer than requested before it is stopped.
PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: a value in the unit of the case, and further results of a load."""

    value: float
    middle: float | None = None  # the median latency in seconds
    late: float | None = None  # the 99th percentile
    cpu: float | None = None  # CPU seconds of the server per response
    errors: int = 0  # responses other than 2xx, and broken connections


class LoadError(Exception):
    """A tool that failed, and its message."""


@dataclass(frozen=True, slots=True)
class Target:
    """The destination and duration of a load, and a directory for the tool's files."""

    load: Load
    port: int
    seconds: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.load.ask.path}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that makes a load, and the parser of its output."""

    name: str
    command: Callable[[Target], list[str]]
    parse: Callable[[str], tuple[int, Sample]]  # the number of responses, and the round

    def run(self, target: Target, core: int | None) -> tuple[int, Sample]:
        """Load a server; return the number of its responses, and the round."""
        command = self.command(target)
        try:
            with on_core(core):
                ended = subprocess.run(
                    command,
                    cwd=Path(__file__).parents[2],
                    capture_output=True,
                    text=True,
                    timeout=target.seconds + PATIENCE,
                    check=True,
                )
            return self.parse(ended.stdout)
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines()
            raise LoadError(f"{self.name}: {said[-1] if said else error}") from error
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise LoadError(f"{self.name}: {error}") from error


def body_file(target: Target) -> Path:
    """Write the body of a case's request to a file."""
    path = target.folder / f"{target.load.name}.body"
    if not path.exists():
        path.write_bytes(noise(target.load.ask.size))
    return path


# wrk takes a method, a body and several requests at once only from a script. It sends the
# result of init() again and again.
_BODY = """\
wrk.method = "{method}"
local file = assert(io.open([==[{file}]==], "rb"))
wrk.body = file:read("*a")
file:close()
"""
_PIPELINED = """\
local all
init = function() all = string.rep(wrk.format(), {times}) end
request = function() return all end
"""


def _wrk(target: Target) -> list[str]:
    load = target.load
    script = ""
    if load.ask.size:
        script += _BODY.format(method=load.ask.method, file=body_file(target))
    if load.pipelined > 1:
        script += _PIPELINED.format(times=load.pipelined)
    command = ["wrk", "--latency", "-t1", f"-c{load.connections}", f"-d{target.seconds}s"]
    command += ["--timeout", "10s"]
    command += [f"-H{name}: {value}" for name, value in load.ask.fields]
    if script:
        path = target.folder / f"{load.name}.lua"
        path.write_text(script)
        command += ["-s", str(path)]
    return [*command, target.url]


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_ANSWERS = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_LATENCY = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m|h)\s*$", re.MULTILINE)
_WRONG = re.compile(r"^\s*Non-2xx or 3xx responses: (\d+)", re.MULTILINE)
_BROKEN = re.compile(
    r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", re.MULTILINE
)


def parse_wrk(output: str) -> tuple[int, Sample]:
    """Parse the output of wrk with ``--latency``; ``ValueError`` if it is unknown."""
    answers, rate = _ANSWERS.search(output), _RATE.search(output)
    if answers is None or rate is None:
        raise ValueError(f"unknown output: {output!r}")
    latencies = {
        number: float(value) * _UNITS[unit] for number, value, unit in _LATENCY.findall(output)
    }
    wrong, broken = _WRONG.search(output), _BROKEN.search(output)
    errors = int(wrong[1]) if wrong else 0
    errors += sum(map(int, broken.groups())) if broken else 0
    sample = Sample(float(rate[1]), latencies.get("50"), latencies.get("99"), errors=errors)
    return int(answers[1]), sample


def _h2load(target: Target) -> list[str]:
    load = target.load
    command = ["h2load", "--h1", "-t1", f"-c{load.connections}", f"-D{target.seconds}"]
    command += [f"-m{load.pipelined}"]
    command += [f"-H{name}: {value}" for name, value in load.ask.fields]
    if load.ask.size:
        command += ["-d", str(body_file(target)), f"-H:method: {load.ask.method}"]
    return [*command, target.url]


_FINISHED = re.compile(r"^finished in [^,]+, ([\d.]+) req/s", re.MULTILINE)
_REQUESTS = re.compile(
    r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", re.MULTILINE
)


def parse_h2load(output: str) -> tuple[int, Sample]:
    """Parse the output of h2load, which has only the mean of latencies, so they are left out."""
    rate, requests = _FINISHED.search(output), _REQUESTS.search(output)
    if rate is None or requests is None:
        raise ValueError(f"unknown output: {output!r}")
    succeeded, *others = map(int, requests.groups())
    return succeeded, Sample(float(rate[1]), errors=sum(others))


def _own(target: Target) -> list[str]:
    load = target.load
    request, orders = (target.folder / f"{load.name}.{name}" for name in ("request", "orders"))
    request.write_bytes(load.ask.head(f"127.0.0.1:{target.port}") + noise(load.ask.size))
    given = Orders(target.port, str(request), load.connections, load.pipelined, target.seconds)
    orders.write_text(json.dumps(asdict(given)))
    return [sys.executable, "-m", "tests.benchmarks.client", str(orders)]


def parse_own(output: str) -> tuple[int, Sample]:
    """Parse the output of the benchmark's own client."""
    tally = json.loads(output)
    rate = tally["answers"] / tally["seconds"]
    sample = Sample(rate, tally["middle"], tally["late"], errors=tally["wrong"])
    return tally["answers"], sample


TOOLS: Mapping[str, Tool] = {
    "wrk": Tool("wrk", _wrk, parse_wrk),
    "h2load": Tool("h2load", _h2load, parse_h2load),
    "own": Tool("own", _own, parse_own),
}


def choose_tool(wanted: str | None = None) -> Tool:
    """Return the requested tool, or the best installed one."""
    if wanted is None:
        wanted = next((name for name in ("wrk", "h2load") if shutil.which(name)), "own")
    return TOOLS[wanted]


def able(tool: Tool, load: Load) -> Tool:
    """Return the tool, or the own client if the tool cannot run the case.

    h2load keeps its connections open, even with ``Connection: close``.
    """
    closes = ("Connection", "close") in load.ask.fields
    return TOOLS["own"] if tool.name == "h2load" and closes else tool
