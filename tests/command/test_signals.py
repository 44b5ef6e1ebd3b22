"""Tests of the signal handlers that act before the server starts."""

import os
import signal
import subprocess
import sys

import pytest
from support import environment

from trio_http.command.signals import ending_at_once, outliving_hangups

NUMBERS = [signal.SIGINT, signal.SIGTERM]


def run(source: str, terminal: int | None = None) -> tuple[int, str]:
    """Run a program; return its exit status and its output."""
    ended = subprocess.run(
        [sys.executable, "-c", f"import signal\nfrom trio_http.command.signals import *\n{source}"],
        env=environment(),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if terminal is None else terminal,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("number", NUMBERS)
def test_signal_ends_a_program_that_catches_all_exceptions(number: signal.Signals) -> None:
    status, said = run(
        "with ending_at_once():\n"
        "  while True:\n"
        f"    try: signal.raise_signal({int(number)})\n"
        "    except BaseException: print('caught')\n"
    )
    assert (status, said) == (-number, "")


@pytest.mark.parametrize("number", NUMBERS)
def test_program_exits_if_the_signal_has_no_effect(number: signal.Signals) -> None:
    # A blocked signal has no effect, as a signal without a handler has none in the first
    # process of a container.
    status, said = run(
        "with ending_at_once():\n"
        f"  signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n"
        f"  signal.getsignal({int(number)})({int(number)}, None)\n"
    )
    assert (status, said) == (128 + number, "")


def test_previous_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with ending_at_once():
        assert all(signal.getsignal(number) not in before for number in NUMBERS)
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_hangup_without_terminal_is_ignored() -> None:
    status, said = run("with outliving_hangups(): signal.raise_signal(signal.SIGHUP)\nprint(1)")
    assert (status, said) == (0, "1\n")


def test_hangup_with_open_terminal_is_ignored() -> None:
    ours, theirs = os.openpty()
    source = "with outliving_hangups(): signal.raise_signal(signal.SIGHUP)\nprint(1)"
    assert run(source, theirs) == (0, "1\n")
    os.close(ours)
    os.close(theirs)


def test_hangup_of_closed_terminal_ends_the_program() -> None:
    ours, theirs = os.openpty()
    gone = "import os\nwith outliving_hangups():\n  os.dup2(os.open(os.devnull, os.O_RDWR), 2)\n"
    assert run(f"{gone}  signal.raise_signal(signal.SIGHUP)", theirs) == (-signal.SIGHUP, "")
    status, said = run(
        f"{gone}  signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
        "  signal.getsignal(signal.SIGHUP)(signal.SIGHUP, None)",
        theirs,
    )
    assert (status, said) == (128 + signal.SIGHUP, "")
    os.close(ours)
    os.close(theirs)


def test_system_without_sighup_keeps_all_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with monkeypatch.context() as windows:
        windows.delattr(signal, "SIGHUP")
        with outliving_hangups():
            pass
    assert signal.getsignal(signal.SIGHUP) == before
