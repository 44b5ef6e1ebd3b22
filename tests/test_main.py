"""The package as a program."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import trio_http

CHECKOUT = Path(trio_http.__file__).parents[1]


@pytest.mark.parametrize(
    ("argument", "status", "output", "errors"),
    [
        ("--version", 0, f"trio-http {trio_http.__version__}\n", ""),
        ("app", 2, "", "trio-http: the following arguments are required: MODULE:NAME\n"),
    ],
)
def test_package_run_as_a_module_is_the_command(
    argument: str, status: int, output: str, errors: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "trio_http", argument],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, output, errors)
