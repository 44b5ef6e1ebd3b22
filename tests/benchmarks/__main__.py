"""The command line: see ``python -m tests.benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

from . import chart, goals, readme
from .asks import noise
from .cases import CASES, QUICK, SIZES, Case, Load
from .document import text as document_text
from .load import TOOLS, choose_tool
from .measure import measure
from .peers import PEERS, UNUSUAL, Peer, build_of_python, reason_absent, versions
from .processes import Cores
from .report import TITLES, document, summaries, table
from .run import Result, Run
from .servers import content

# Connections that are held to measure the memory of one: enough to hide the steps of the
# allocator.
IDLE, IDLE_QUICKLY = 4_000, 1_000

# More descriptors than a run needs, for systems without a limit.
MANY = 65_536

# Approximate seconds to check a server and change to the next one, and to start one.
CHANGE, START = 0.4, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and report; return 0, or 130 if interrupted."""
    options = _parser().parse_args(arguments)
    if options.list:
        _list()
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    shown: list[list[Result]] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        run = _run(options, Path(directory), shown)
        about = _about(run)
        try:
            _make_content(run.directory)
            cases, peers = _cases(options), _peers(options.servers)
            _say(f"{_machine(run)}; {_estimate(run, cases, peers)}")
            measure(run, cases, peers)
            status = 0
        except KeyboardInterrupt:
            _say("interrupted; the results so far:")
            status = 130
    about["machine"]["load_after"] = os.getloadavg()
    _report(options, about, shown)
    if options.readme and status == 0:
        _write_readme(about, shown)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Compare trio_http with other servers and with bare Trio. The servers run on "
        "one core and the load on another, and take turns. Only ratios within one run are "
        "meaningful, not single figures.",
        epilog="Install the servers with the extra 'bench', wrk and nginx from the system. "
        "Temporary files are below TMPDIR.",
    )
    parser.add_argument(
        "--servers",
        type=_names([peer.name for peer in PEERS]),
        metavar="NAME,…",
        help="servers to compare; * matches any letters (default: all but redundant ones)",
    )
    parser.add_argument(
        "--cases",
        type=_names([case.name for case in CASES]),
        metavar="NAME,…",
        help="cases to measure, for example file-*,gzip (default: all)",
    )
    parser.add_argument("--rounds", type=_count, help="rounds of each server and case (default: 3)")
    parser.add_argument("--seconds", type=_count, help="seconds of each round (default: 1)")
    parser.add_argument(
        "--quick", action="store_true", help="one round of a few cases, unless others are named"
    )
    parser.add_argument(
        "--load", choices=list(TOOLS), help="load generator (default: the best installed)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to FILE")
    parser.add_argument(
        "--chart", type=Path, metavar="FILE", help="draw a chart to FILE, .svg or .png"
    )
    parser.add_argument(
        "--readme",
        action="store_true",
        help="write a table to README.md, and its chart",
    )
    parser.add_argument("--list", action="store_true", help="list servers and cases")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _names(known: Sequence[str]) -> Any:
    def names(text: str) -> list[str]:
        patterns = text.split(",")
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name in known):
                raise argparse.ArgumentTypeError(f"{pattern} matches none of {', '.join(known)}")
        return [name for name in known if any(fnmatch(name, pattern) for pattern in patterns)]

    return names


def _list() -> None:
    for peer in PEERS:
        absent = reason_absent(peer)
        usual = " (when named)" if peer.name in UNUSUAL else ""
        print_line(f"{peer.name:<20} {absent or peer.title}{usual}")
    print_line("")
    for case in CASES:
        print_line(f"{case.name:<20} {case.title}")


def print_line(text: str) -> None:
    """Write to the standard output, which gets the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    """Write to the standard error, which gets the progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _interrupt(number: int, frame: object) -> NoReturn:
    """Raise once, and ignore further signals, so that everything can be stopped undisturbed."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def _cases(options: argparse.Namespace) -> list[Case]:
    names: Iterable[str] = options.cases or (QUICK if options.quick else [c.name for c in CASES])
    return [case for case in CASES if case.name in names]


def _peers(names: Sequence[str] | None) -> list[Peer]:
    """Return the named servers that can take part, in all cases; say why others cannot."""
    found = []
    for peer in PEERS:
        if peer.name in names if names else peer.name not in UNUSUAL:
            absent = reason_absent(peer)
            if absent is None:
                found.append(replace(peer, only=None) if names else peer)
            else:
                _say(f"without {peer.name}: {absent}")
    return found


def _run(options: argparse.Namespace, directory: Path, shown: list[list[Result]]) -> Run:
    def begin(case: Case, names: list[str]) -> None:
        _say(f"{case.name}: {', '.join(names)}")

    def show(results: list[Result]) -> None:
        shown.append(results)
        if results:
            print_line(f"{table(results[0].case, results)}\n")

    return Run(
        tool=choose_tool(options.load),
        cores=Cores.choose(),
        rounds=options.rounds or (1 if options.quick else 3),
        seconds=options.seconds or 1,
        idle=IDLE_QUICKLY if options.quick else IDLE,
        descriptors=_raise_descriptors(),
        directory=directory,
        begin=begin,
        show=show,
    )


def _raise_descriptors() -> int:
    """Raise the limit on descriptors of this process and its children, and return it."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 512
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _make_content(directory: Path) -> None:
    folder = directory / content.FILES
    folder.mkdir()
    (directory / content.UPLOADS).mkdir()
    for name, size in SIZES.items():
        (folder / f"{name}.bin").write_bytes(noise(size))
    (folder / content.DOCUMENT).write_bytes(document_text())


def _machine(run: Run) -> str:
    if run.cores.server is None:
        cores = "no separate cores"
    elif run.cores.server == run.cores.load:
        cores = "servers and load share one core, so figures include both"
    else:
        cores = f"servers on core {run.cores.server}, load on core {run.cores.load}"
    return f"{run.tool.name}; {cores}; every server in Python on Python {build_of_python()}"


def _estimate(run: Run, cases: Sequence[Case], peers: Sequence[Peer]) -> str:
    seconds = START * len(peers)
    for case in cases:
        able = sum(peer.takes_part_in(case) for peer in peers)
        if isinstance(case, Load):
            seconds += able * (run.rounds * max(run.seconds, case.least_seconds) + CHANGE)
        else:
            seconds += able * (run.rounds * START)
    return f"about {max(round(seconds / 60), 1)} min"


def _about(run: Run) -> dict[str, Any]:
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "load_before": os.getloadavg(),
        },
        "versions": versions(),
        "tool": run.tool.name,
        "cores": {"server": run.cores.server, "load": run.cores.load},
        "rounds": run.rounds,
        "seconds": run.seconds,
    }


def _report(
    options: argparse.Namespace, about: dict[str, Any], shown: Sequence[list[Result]]
) -> None:
    known = {results[0].case.name: summaries(results) for results in shown if results}
    if lines := goals.judged(known):
        print_line("goals:\n" + "\n".join(lines))
    if options.json is not None:
        options.json.write_text(json.dumps(document(about, shown), indent=1) + "\n")
    if options.chart is not None:
        _draw(options.chart, shown)


def _write_readme(about: dict[str, Any], shown: Sequence[list[Result]]) -> None:
    text = readme.README.read_text("utf-8")
    readme.README.write_text(readme.replaced(text, readme.section(about, shown)), "utf-8")
    _draw(readme.CHART, readme.drawn(shown), readme.TITLES)


def _draw(path: Path, cases: Sequence[list[Result]], titles: Mapping[str, str] = TITLES) -> None:
    try:
        chart.draw(path, cases, titles)
    except ImportError as error:
        _say(f"no chart: {error}")


if __name__ == "__main__":
    sys.exit(main())
