"""The part of the README that a run writes: a table, what it is of, and the way to its chart."""

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

# What the run writes stands between these lines, of which the first is the command.
BEGIN = "<!-- python -m tests.benchmarks --readme -->"
END = "<!-- the end of what it wrote -->"


@dataclass(frozen=True, slots=True)
class Column:
    """A server as people know it, and who stands in where it cannot do what is asked."""

    title: str
    peer: str
    substitute: str | None = None

    def shown(self, known: Mapping[str, Summary]) -> str | None:
        """Whose figure is in the column, if anybody's."""
        return next((name for name in (self.peer, self.substitute) if name in known), None)


COLUMNS = (
    Column("trio_http", OURS),
    Column("Uvicorn", "uvicorn", "starlette"),
    Column("Granian", "granian"),
    Column("aiohttp", "aiohttp"),
    Column("nginx", "nginx"),
    Column("bare Trio", "trio"),
)

# Our --version loads nothing, so beside what others import it would only look well.
LEFT_OUT = {"import"}

# What the chart is of, and what it calls everybody.
DRAWN = ("plain", "browser", "close", "stream", "file-1k", "gzip")
TITLES = {column.peer: column.title for column in COLUMNS} | {"starlette": "Uvicorn, Starlette"}

TIMES = "\N{MULTIPLICATION SIGN}"

LEGEND = f"""\
Of trio_http these are figures, of the others multiples of them: at 0.50{TIMES} they answer half as
many requests, or take half of the memory or the time. Uvicorn has uvloop and httptools, and
Starlette (\\*) for what it cannot do alone. Bare Trio is sockets without HTTP."""
ERRORS = "† Not all were answered rightly."


def section(about: Mapping[str, Any], cases: Sequence[Sequence[Result]]) -> str:
    """Table, legend and circumstances, in Markdown."""
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
    """What the chart shows: a few cases, and of each those who are in the table."""
    panels = []
    for results in cases:
        known = summaries(results)
        if results and results[0].case.name in DRAWN and OURS in known:
            names = [column.shown(known) for column in COLUMNS]
            panels.append([result for result in results if result.peer in names])
    return panels


def replaced(text: str, written: str) -> str:
    """A README with another section; ``ValueError`` where there is no place for one."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no {END if begin else BEGIN}")
    return f"{before}{BEGIN}\n\n{written}\n\n{END}{after}"
