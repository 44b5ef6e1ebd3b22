"""A run as a picture: a panel for each case, a bar for each server."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from .cases import Better
from .peers import OURS
from .report import TITLES, number, summaries
from .run import Result

COLUMNS = 3
PANEL = (6, 3)  # inches
OUR_COLOUR, THEIR_COLOUR = "#c2410c", "#9ca3af"


def draw(path: Path, cases: Sequence[Sequence[Result]]) -> None:
    """Draw medians and their extremes; ``ImportError`` where there is no matplotlib."""
    import matplotlib.figure  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - an extra

    panels = [results for results in cases if summaries(results)]
    rows = max(ceil(len(panels) / COLUMNS), 1)
    size = (PANEL[0] * COLUMNS, PANEL[1] * rows)
    figure: Any = matplotlib.figure.Figure(figsize=size, layout="constrained")
    for position, results in enumerate(panels, 1):
        _panel(figure.add_subplot(rows, COLUMNS, position), results)
    figure.savefig(path)


def _panel(axes: Any, results: Sequence[Result]) -> None:
    case, known = results[0].case, summaries(results)
    # From below, so the best is on top.
    names = sorted(known, key=lambda name: known[name].value, reverse=case.better is Better.LOWER)
    values = [known[name].value for name in names]
    reach = (
        [known[name].value - known[name].low for name in names],
        [known[name].high - known[name].value for name in names],
    )
    colours = [OUR_COLOUR if name == OURS else THEIR_COLOUR for name in names]
    titles = [TITLES.get(name, name) for name in names]
    bars = axes.barh(titles, values, xerr=reach, color=colours, ecolor="#4b5563")
    axes.bar_label(bars, [number(value) for value in values], padding=4, fontsize=8)
    axes.set_title(f"{case.title}\n{case.unit}, {case.better.value} is better", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_visible(False)  # the bars say it
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
