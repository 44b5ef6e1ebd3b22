"""The package as a program."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from support import CHECKOUT, environment

import trio_http
from trio_http.__main__ import main


@pytest.mark.parametrize(
    ("argument", "status", "output", "errors"),
    [
        ("--version", 0, f"trio-http {trio_http.__version__}\n", ""),
        ("app", 2, "", "trio-http: MODULE:NAME is missing: see trio-http app --help\n"),
    ],
)
def test_package_run_as_a_module_is_the_command(
    argument: str, status: int, output: str, errors: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "trio_http", argument],
        env=environment(),
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
def test_closed_or_full_streams_cause_no_traceback(
    redirection: str, arguments: str, status: int, said: str
) -> None:
    command = [sys.executable, "-m", "trio_http", *arguments.split()]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == status
    assert output.startswith(said)
    assert output.count("\n") == (1 if said else 0)


def test_installed_script_is_the_same_command() -> None:
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["trio-http"].partition(":")
    assert getattr(import_module(module), name) is main


def test_version_is_printed_before_anything_is_loaded() -> None:
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
    assert loaded.isdisjoint({"trio_http.command.cli", "trio", "h11"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version", "files", "--bind", "nowhere"], "trio-http "),
        (["--version", "--help"], "trio-http "),
        (["--help"], "Usage: trio-http "),
    ],
)
def test_other_arguments_reach_the_command_line(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["trio-http", *arguments])
    assert main() == 0
    assert capsys.readouterr().out.startswith(said)


def test_exit_status_is_that_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["trio-http", "--version=2"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("trio-http: ")


# Signals before the server runs

PAUSE = "import os, signal\nos.write(os.open('told', os.O_WRONLY), b'.')\nsignal.pause()\n"


@contextmanager
def loading(
    folder: Path, *options: str, before: Sequence[str] = (), app: str = PAUSE
) -> Iterator[subprocess.Popen[str]]:
    """Start the command with an app that reports when it is loaded and then waits for signals."""
    os.mkfifo(folder / "told")
    (folder / "module.py").write_text(app)
    command = [sys.executable, "-m", "trio_http", "app", "module:app", "--bind", "127.0.0.1:0"]
    with (
        os.fdopen(os.open(folder / "told", os.O_RDWR), "rb", 0) as told,
        subprocess.Popen(
            [*before, *command, *options],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            assert told.read(1) == b"."
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_an_app_is_loaded_ends_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    with loading(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (-number, "")


def children_of(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task")  # of each of its threads
    return [int(pid) for file in tasks.glob("*/children") for pid in file.read_text().split()]


def can_be_first() -> bool:
    try:
        subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.mark.skipif(not can_be_first(), reason="processes cannot have a namespace of their own")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_first_process_of_a_container(
    tmp_path: Path, number: signal.Signals
) -> None:
    with loading(tmp_path, before=["unshare", "--pid", "--fork", "--kill-child"]) as outside:
        (first,) = children_of(outside)
        os.kill(first, number)
        output, _ = outside.communicate(timeout=30)
    assert (outside.returncode, output) == (128 + number, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_just_before_the_server_listens_ends_the_command(number: signal.Signals) -> None:
    # The last moment before the server handles signals itself.
    source = (
        "import signal, sys\n"
        "from trio_http import __main__\n"
        "from trio_http.command import single_process\n"
        "async def open_listeners(*addresses):\n"
        f"  signal.raise_signal({int(number)})\n"
        "single_process.open_listeners = open_listeners\n"
        "sys.argv = ['trio-http', 'challenge']\n"
        "sys.exit(__main__.main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source],
        env=environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (-number, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_workers_load_an_app_ends_all_of_them(
    tmp_path: Path, number: signal.Signals
) -> None:
    with loading(tmp_path, "--workers", "2") as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=10)  # until every process has closed it
    assert process.returncode == 0
    assert "ERROR" not in output
    assert output.endswith("[SERVER STOPPED]\n")


def test_hangup_while_workers_load_an_app_ends_no_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    gate = os.open(tmp_path / "gate", os.O_RDWR)
    tell = PAUSE.removesuffix("signal.pause()\n")
    app = f"{tell}os.read(os.open('gate', os.O_RDONLY), 1)\n{PAUSE}"
    with os.fdopen(gate, "wb", 0), loading(tmp_path, "--workers=2", app=app) as process:
        (worker,) = children_of(process)
        os.kill(worker, signal.SIGHUP)
        with os.fdopen(os.open(tmp_path / "told", os.O_RDWR), "rb", 0) as told:
            os.write(gate, b".")
            assert told.read(1) == b"."  # the app was loaded further
