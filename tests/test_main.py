"""The package as a program."""

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import trio_http
from trio_http.__main__ import main

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


@pytest.mark.parametrize(
    ("redirection", "arguments", "status", "said"),
    [
        (">&-", "--version", 1, "trio-http: cannot write to the standard output: Bad file "),
        (">&-", "--help", 1, "trio-http: cannot write to the standard output: Bad file "),
        (">/dev/full", "--version", 1, "trio-http: cannot write to the standard output: No space"),
        (">/dev/full", "--help", 1, "trio-http: cannot write to the standard output: No space"),
        (">&- 2>&-", "--version", 1, ""),
        ("2>&-", "nonsense", 2, ""),
        ("2>/dev/full", "nonsense", 2, ""),
        ("2>/dev/full", "--version", 0, f"trio-http {trio_http.__version__}\n"),
        ("<&- 2>&-", "--version", 0, f"trio-http {trio_http.__version__}\n"),
    ],
)
def test_streams_that_are_closed_or_full_are_no_traceback(
    redirection: str, arguments: str, status: int, said: str
) -> None:
    command = [sys.executable, "-m", "trio_http", *arguments.split()]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == status
    assert output.startswith(said)
    assert output.count("\n") == (1 if said else 0)


def test_command_that_is_installed_is_the_same() -> None:
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["trio-http"].partition(":")
    assert getattr(import_module(module), name) is main


def test_version_is_told_before_anything_is_loaded() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "trio_http", "--version"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "trio_http" in loaded
    assert loaded.isdisjoint({"trio_http.cli", "trio", "h11"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version", "files", "--bind", "nowhere"], "trio-http "),
        (["--version", "--help"], "trio-http "),
        (["--help"], "usage: trio-http "),
    ],
)
def test_other_arguments_are_the_command_lines(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["trio-http", *arguments])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out.startswith(said)


def test_exit_status_is_the_command_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trio-http", "--version=2"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("trio-http: ")
