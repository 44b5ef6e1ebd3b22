"""A run as a chart: a panel for each case, a bar for each server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from .cases import Better
from .peers import OURS
from .report import TITLES, number, summaries
from .run import Result

COLUMNS = 3
# Inches: a panel's width without its labels, the width per letter of them, and heights.
WIDTH, LETTER_WIDTH, BAR_HEIGHT, HEIGHT = 2.2, 0.06, 0.22, 0.6

# The background is transparent, and the text has the same contrast to white as to dark pages.
INK = "#76808c"
OUR_COLOUR, THEIR_COLOUR = "#d9581e", "#9ca3af"

# Text stays text, and the same figures make the same file.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "chart",
    "text.color": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(path: Path, cases: Sequence[Sequence[Result]], titles: Mapping[str, str] = TITLES) -> None:
    """Draw medians and their extremes; ``ImportError`` if matplotlib is not installed."""
    import matplotlib.figure  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - an extra

    panels = [results for results in cases if summaries(results)]
    rows = max(ceil(len(panels) / COLUMNS), 1)
    bars = max((len(summaries(results)) for results in panels), default=0)
    names = {result.peer for results in panels for result in results}
    letters = max((len(titles.get(name, name)) for name in names), default=0)
    width, height = WIDTH + LETTER_WIDTH * letters, HEIGHT + BAR_HEIGHT * bars
    size = (width * COLUMNS, height * rows)
    with matplotlib.rc_context(STYLE):
        figure: Any = matplotlib.figure.Figure(figsize=size, layout="constrained")
        for position, results in enumerate(panels, 1):
            _panel(figure.add_subplot(rows, COLUMNS, position), results, titles)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})


def _panel(axes: Any, results: Sequence[Result], titles: Mapping[str, str]) -> None:
    case, known = results[0].case, summaries(results)
    # Drawn from below, so the best is on top.
    names = sorted(known, key=lambda name: known[name].value, reverse=case.better is Better.LOWER)
    values = [known[name].value for name in names]
    reach = (
        [known[name].value - known[name].low for name in names],
        [known[name].high - known[name].value for name in names],
    )
    colours = [OUR_COLOUR if name == OURS else THEIR_COLOUR for name in names]
    labels = [titles.get(name, name) for name in names]
    bars = axes.barh(labels, values, xerr=reach, color=colours, ecolor=INK)
    axes.bar_label(bars, [number(value) for value in values], padding=4, fontsize=8)
    axes.set_title(f"{case.title}\n{case.unit}, {case.better.value} is better", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_visible(False)  # the bars show the values
    axes.margins(x=0.2)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
