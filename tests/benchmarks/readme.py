"""The section of the README that a run writes: a table, its circumstances, and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cases import Better
from .peers import CHECKOUT, OURS, PEERS
from .report import Summary, number, ratio, summaries
from .run import Result

README = CHECKOUT / "README.md"
CHART = CHECKOUT / "tests/benchmarks/chart.svg"

# The run writes its section between these lines; the first contains the command.
BEGIN = "<!-- python -m tests.benchmarks --readme -->"
END = "<!-- the end of what it wrote -->"


@dataclass(frozen=True, slots=True)
class Column:
    """A server, and the substitute for cases that it cannot serve."""

    title: str
    peer: str
    substitute: str | None = None

    def shown(self, known: Mapping[str, Summary]) -> str | None:
        """Return which of the two is shown in the column, or None."""
        return next((name for name in (self.peer, self.substitute) if name in known), None)


COLUMNS = (
    Column("trio_http", OURS),
    Column("Uvicorn", "uvicorn", "starlette"),
    Column("Granian", "granian"),
    Column("aiohttp", "aiohttp"),
    Column("nginx", "nginx"),
    Column("bare Trio", "trio"),
)

# --version of trio_http loads nothing, so comparing it with the imports of others is unfair.
LEFT_OUT = {"import"}

# The cases of the chart, and the names of the servers in it.
DRAWN = ("plain", "browser", "close", "stream", "file-1k", "gzip")
TITLES = {column.peer: column.title for column in COLUMNS} | {"starlette": "Uvicorn, Starlette"}

TIMES = "\N{MULTIPLICATION SIGN}"

LEGEND = f"""\
The column of trio_http has figures, the others have multiples of them: at 0.50{TIMES} a server
handles half as many requests, or takes half the memory or time. Uvicorn runs with uvloop and
httptools, and with Starlette (\\*) for cases that need a framework. Bare Trio is sockets without
HTTP."""
ERRORS = "† Not all responses were correct."


def section(about: Mapping[str, Any], cases: Sequence[Sequence[Result]]) -> str:
    """Return table, legend and circumstances in Markdown."""
    rows = [_line(["requests/s", *(column.title for column in COLUMNS)])]
    rows.append(_line(["---", *("--:" for _ in COLUMNS)]))
    for results in cases:
        known = summaries(results)
        if OURS in known and results[0].case.name not in LEFT_OUT:
            rows.append(_row(results[0], known))
    picture = f"![The same as a chart]({CHART.relative_to(CHECKOUT).as_posix()})"
    table = "\n".join(rows)
    legend = f"{LEGEND}\n{ERRORS}" if "†" in table else LEGEND
    return "\n\n".join([table, picture, legend, _circumstances(about)])


def _row(result: Result, known: Mapping[str, Summary]) -> str:
    case = result.case
    lower = case.better is Better.LOWER
    title = f"{case.title} ({case.unit}, less is better)" if lower else case.title
    return _line([title, *(_cell(column, known) for column in COLUMNS)])


def _cell(column: Column, known: Mapping[str, Summary]) -> str:
    name = column.shown(known)
    if name is None:
        return ""
    mark = " †" if known[name].errors else ""
    if name == OURS:
        return number(known[OURS].value).replace(" ", "\N{NO-BREAK SPACE}") + mark
    times = ratio(known, name, OURS)
    star = "" if name == column.peer else "\\*"
    return "" if times is None else f"{number(times)}{TIMES}{star}{mark}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _circumstances(about: Mapping[str, Any]) -> str:
    cores, processors = about["cores"], about["machine"]["processors"]
    apart = cores["server"] != cores["load"]
    where = "one core for the server and one for the load" if apart else "shared by all"
    packages = {p for peer in PEERS if peer.name in TITLES for p in peer.packages}
    packages |= {"python", "trio", "h11", "nginx"}
    versions = [f"{name} {text}" for name, text in about["versions"].items() if name in packages]
    return (
        f"{about['when'][:10]}, {processors} cores, {where} ({about['tool']}), "
        f"medians of {about['rounds']} rounds of {about['seconds']} s or more.\n"
        f"{', '.join(versions)}."
    )


def drawn(cases: Sequence[Sequence[Result]]) -> list[list[Result]]:
    """Return the results for the chart: a few cases, with the servers in the table."""
    panels = []
    for results in cases:
        known = summaries(results)
        if results and results[0].case.name in DRAWN and OURS in known:
            names = [column.shown(known) for column in COLUMNS]
            panels.append([result for result in results if result.peer in names])
    return panels


def replaced(text: str, written: str) -> str:
    """Return a README with a new section; ``ValueError`` if it has no markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md has no {END if begin else BEGIN}")
    return f"{before}{BEGIN}\n\n{written}\n\n{END}{after}"
