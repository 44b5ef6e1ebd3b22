"""The results of a run, for people and for programs: medians, spread and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .cases import Better, Case
from .load import Sample
from .peers import BESIDE, OURS, PEERS
from .run import Result

TITLES = {peer.name: peer.title for peer in PEERS}
TITLES[BESIDE] = "(trio_http in the case plain)"


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of several rounds; ``low`` and ``high`` are the extremes of the value."""

    value: float
    low: float
    high: float
    middle: float | None
    late: float | None
    cpu: float | None
    errors: int

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Summary:
        """Summarize ``samples``, at least one."""
        values = [sample.value for sample in samples]
        return cls(
            median(values),
            min(values),
            max(values),
            _median(sample.middle for sample in samples),
            _median(sample.late for sample in samples),
            _median(sample.cpu for sample in samples),
            sum(sample.errors for sample in samples),
        )

    @property
    def spread(self) -> float:
        """Half the difference of the extremes, relative to the median."""
        return (self.high - self.low) / 2 / self.value if self.value else 0.0


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summaries(results: Sequence[Result]) -> dict[str, Summary]:
    """Return a summary for each server with results in a case."""
    return {
        result.peer: Summary.of(result.samples)
        for result in results
        if result.samples and result.problem is None
    }


def ratio(of: Mapping[str, Summary], ours: str, other: str) -> float | None:
    """Return ``ours`` divided by ``other``, or None if either is unknown."""
    if ours not in of or other not in of or not of[other].value:
        return None
    return of[ours].value / of[other].value


def table(case: Case, results: Sequence[Result]) -> str:
    """Return a table of a case for people, the best server first."""
    known = summaries(results)
    forward = case.better is Better.HIGHER
    rows = [["server", case.unit, "spread", "ours ÷ it", "p50 ms", "p99 ms", "CPU µs"]]
    names = sorted(known, key=lambda name: known[name].value, reverse=forward)
    rows += [_row(name, known[name], ratio(known, OURS, name)) for name in names]
    lines = [f"{case.name}: {case.title} ({case.better.value} is better)", *_aligned(rows)]
    lines += [f"  {result.peer}: {result.problem}" for result in results if result.problem]
    return "\n".join(lines)


def _row(name: str, summary: Summary, ours: float | None) -> list[str]:
    errors = f" ({summary.errors} errors)" if summary.errors else ""
    return [
        f"{TITLES.get(name, name)}{errors}",
        number(summary.value),
        "" if summary.low == summary.high else f"±{summary.spread:.0%}",
        "" if ours is None else f"{ours:.2f}",
        _scaled(summary.middle, 1e3),
        _scaled(summary.late, 1e3),
        _scaled(summary.cpu, 1e6),
    ]


def _scaled(value: float | None, factor: float) -> str:
    return "" if value is None else number(value * factor)


def number(value: float) -> str:
    """Format a number with three digits or more."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace(",", " ")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows of a table: the first column to the left, figures to the right.

    Columns that are empty below their heading are left out.
    """
    heading, *_ = rows
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])] or [(heading[0],)]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for first, *others in zip(*columns, strict=True):
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


def document(about: Mapping[str, Any], cases: Sequence[Sequence[Result]]) -> dict[str, Any]:
    """Return a run as JSON: its circumstances, cases, and all rounds."""
    return {**about, "cases": [_case(results) for results in cases if results]}


def _case(results: Sequence[Result]) -> dict[str, Any]:
    case, known = results[0].case, summaries(results)
    return {
        "name": case.name,
        "title": case.title,
        "unit": case.unit,
        "better": case.better.value,
        "servers": {
            result.peer: {
                "title": TITLES.get(result.peer, result.peer),
                "median": known[result.peer].value if result.peer in known else None,
                "spread": known[result.peer].spread if result.peer in known else None,
                "ours_to_it": ratio(known, OURS, result.peer),
                "problem": result.problem,
                "rounds": [asdict(sample) for sample in result.samples],
            }
            for result in results
        },
    }
