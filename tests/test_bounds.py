"""No field costs more than an unknown one of the same length, whatever its content.

Costs are counted, not timed: Python's instructions, which every interpreter can count, and
those of the processor if valgrind is installed. Only the latter include the work of a regular
expression.
"""

import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
from costs import CASES, COUNTED, PLAIN, TARGETS, answer_to
from support import CHECKOUT

# Refusing a request costs a little more than serving it.
AT_MOST = 1.6

# A target of 8 KiB can contain 8000 parts.
AT_MOST_FOR_TARGETS = 25


class Count:
    """Counts Python's instructions in all frames while it is entered."""

    def __init__(self) -> None:
        self.instructions = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        # Python 3.12 counts instructions only if a frame requested that before ``settrace``.
        frame = inspect.currentframe()
        assert frame is not None
        frame.f_trace_opcodes = True
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        self.instructions += event == "opcode"
        return self._trace


async def cost_of(sent: bytes) -> int:
    await answer_to(sent)  # one-time work is not counted
    with Count() as count:
        await answer_to(sent)
    return count.instructions


def too_much(costs: dict[str, tuple[int, int]], at_most: float) -> dict[str, float]:
    assert all(min(pair) > 1000 for pair in costs.values())
    ratios = {name: round(cost / unknown, 2) for name, (cost, unknown) in costs.items()}
    return {name: ratio for name, ratio in ratios.items() if ratio > at_most}


async def test_field_takes_no_more_python_instructions_than_an_unknown_one() -> None:
    costs = {}
    of_unknown: dict[tuple[object, ...], int] = {}  # the same for each value
    for case in CASES:
        field, unknown = case.pair
        kind = case.reader, case.name in PLAIN, case.lines
        if kind not in of_unknown:
            of_unknown[kind] = await cost_of(unknown)
        costs[str(case)] = await cost_of(field), of_unknown[kind]
    assert too_much(costs, AT_MOST) == {}


async def test_target_takes_little_more_python_instructions_than_a_field() -> None:
    costs = {}
    for target in TARGETS:
        lines = f"GET {target} HTTP/1.1\r\nHost: here\r\n\r\n"
        unknown = f"GET / HTTP/1.1\r\nHost: here\r\nX-Unknown: {target}\r\n\r\n"
        costs[target[:20]] = await cost_of(lines.encode()), await cost_of(unknown.encode())
    assert too_much(costs, AT_MOST_FOR_TARGETS) == {}


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_field_takes_no_more_processor_instructions_than_an_unknown_one(tmp_path: Path) -> None:
    prefix = f"--vgdb-prefix={tmp_path / 'vgdb'}"
    subprocess.run(
        [
            *("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", prefix),
            *("--dump-before=getppid", f"--callgrind-out-file={tmp_path / 'counts'}"),
            *(sys.executable, "tests/costs.py", prefix),
        ],
        check=True,
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},  # without coverage
    )
    # The first file counts everything before the first request.
    counts = [counted(tmp_path / f"counts.{2 + number}") for number in range(2 * len(COUNTED))]
    pairs = zip(counts[::2], counts[1::2], strict=True)
    costs = dict(zip(map(str, COUNTED), pairs, strict=True))
    assert too_much(costs, AT_MOST) == {}


def counted(dump: Path) -> int:
    total = re.search(r"^totals: (\d+)", dump.read_text(), re.MULTILINE)
    assert total is not None
    return int(total[1])
