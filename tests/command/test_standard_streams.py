"""Tests of standard streams that are closed, full or unread."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import environment

from trio_http.command.standard_streams import drop_unwritable, tell

needs_full = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full"
)


def run_with(redirections: str, source: str) -> tuple[int, str]:
    """Run a program with redirections of the shell; return its status and output."""
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-c", source],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


OPEN_MISSING = """
import os
from trio_http.command.standard_streams import open_missing
open_missing()
nowhere = os.stat(os.devnull)
missing = [number for number in range(3) if os.path.samestat(os.fstat(number), nowhere)]
assert all(os.get_inheritable(number) for number in missing)
number = os.open(".", os.O_RDONLY)
os.write(1 if missing == [2] or not missing else 2, f"{missing} {number > 2}".encode())
"""


@pytest.mark.parametrize(
    ("redirections", "opened"),
    [("<&1", []), ("<&-", [0]), ("<&1 2>&-", [2]), ("<&- >&-", [0, 1]), ("<&1 >&-", [1])],
)
def test_closed_descriptors_are_opened_on_the_null_device(
    redirections: str, opened: list[int]
) -> None:
    status, said = run_with(redirections, OPEN_MISSING)
    assert (status, said) == (0, f"{opened} True")


def test_tell_writes_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    tell("hello\n")
    assert os.write(1, b"and more\n")
    assert capfd.readouterr().out == "hello\nand more\n"


def test_closed_standard_output_raises_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        tell("hello\n")
    assert caught.value.errno == errno.EBADF


@needs_full
def test_full_standard_output_raises_os_error_but_keeps_exit_status() -> None:
    source = (
        "import sys; from trio_http.command.standard_streams import *\n"
        "for _ in range(2):\n"
        "  try: tell('hello')\n"
        "  except OSError as error: print(error.strerror, file=sys.stderr)\n"
        "drop_unwritable()\n"
    )
    assert run_with(">/dev/full", source) == (0, "No space left on device\n" * 2)


def test_output_to_a_broken_pipe_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as errors:
        errors.write("to a terminal that has gone")
        os.close(reading)
        monkeypatch.setattr(sys, "stderr", errors)
        drop_unwritable()
        errors.flush()  # as Python does at exit


class Bottomless(io.StringIO):
    """A stream that has no descriptor and fails."""

    def flush(self) -> None:
        raise OSError(errno.EIO, "no")


@pytest.mark.parametrize("stream", [None, io.StringIO(), Bottomless()])
def test_stream_without_a_descriptor_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    drop_unwritable()


def test_closed_stream_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    drop_unwritable()
