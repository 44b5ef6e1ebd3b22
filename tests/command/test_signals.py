"""Signals before there is a server, and how they end a program."""

import os
import signal
import subprocess
import sys

import pytest
from support import environment

from trio_http.command.signals import ending_at_once, outliving_hangups

NUMBERS = [signal.SIGINT, signal.SIGTERM]


def run(source: str, terminal: int | None = None) -> tuple[int, str]:
    """Run a program: its status, and whatever it has written."""
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
def test_signal_ends_the_program_and_nothing_can_keep_it(number: signal.Signals) -> None:
    status, said = run(
        "with ending_at_once():\n"
        "  while True:\n"
        f"    try: signal.raise_signal({int(number)})\n"
        "    except BaseException: print('caught')\n"
    )
    assert (status, said) == (-number, "")


@pytest.mark.parametrize("number", NUMBERS)
def test_program_ends_where_the_system_does_not_end_it(number: signal.Signals) -> None:
    # To the first process of a container nothing is done by signals without a handler,
    # and nothing is done for now by those that are blocked.
    status, said = run(
        "with ending_at_once():\n"
        f"  signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n"
        f"  signal.getsignal({int(number)})({int(number)}, None)\n"
    )
    assert (status, said) == (128 + number, "")


def test_handlers_are_what_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with ending_at_once():
        assert all(signal.getsignal(number) not in before for number in NUMBERS)
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_hangup_ends_nothing_where_it_is_to_renew() -> None:
    status, said = run("with outliving_hangups(): signal.raise_signal(signal.SIGHUP)\nprint(1)")
    assert (status, said) == (0, "1\n")


def test_hangup_ends_nothing_while_the_terminal_is_there() -> None:
    ours, theirs = os.openpty()
    source = "with outliving_hangups(): signal.raise_signal(signal.SIGHUP)\nprint(1)"
    assert run(source, theirs) == (0, "1\n")
    os.close(ours)
    os.close(theirs)


def test_hangup_of_a_terminal_ends_the_program() -> None:
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


def test_system_without_hangups_needs_nothing_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with monkeypatch.context() as windows:
        windows.delattr(signal, "SIGHUP")
        with outliving_hangups():
            pass
    assert signal.getsignal(signal.SIGHUP) == before
