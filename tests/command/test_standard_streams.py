"""The standard streams where they are closed, full, or read by nobody."""

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

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def run_with(redirections: str, source: str) -> tuple[int, str]:
    """Run a program as a shell does with these redirections: its status and what it wrote."""
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
def test_descriptors_that_are_closed_are_opened_on_the_null_device(
    redirections: str, opened: list[int]
) -> None:
    status, said = run_with(redirections, OPEN_MISSING)
    assert (status, said) == (0, f"{opened} True")


def test_what_is_told_is_there_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    tell("hello\n")
    assert os.write(1, b"and more\n")
    assert capfd.readouterr().out == "hello\nand more\n"


def test_standard_output_that_is_closed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        tell("hello\n")
    assert caught.value.errno == errno.EBADF


@needs_full
def test_standard_output_that_is_full_is_an_error_each_time_and_then_none_for_python() -> None:
    source = (
        "import sys; from trio_http.command.standard_streams import *\n"
        "for _ in range(2):\n"
        "  try: tell('hello')\n"
        "  except OSError as error: print(error.strerror, file=sys.stderr)\n"
        "drop_unwritable()\n"
    )
    assert run_with(">/dev/full", source) == (0, "No space left on device\n" * 2)


def test_what_nobody_reads_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as errors:
        errors.write("to a terminal that has gone")
        os.close(reading)
        monkeypatch.setattr(sys, "stderr", errors)
        drop_unwritable()
        errors.flush()  # as Python does in the end


class Bottomless(io.StringIO):
    """A stream that has no descriptor, and fails."""

    def flush(self) -> None:
        raise OSError(errno.EIO, "no")


@pytest.mark.parametrize("stream", [None, io.StringIO(), Bottomless()])
def test_streams_without_a_descriptor_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    drop_unwritable()


def test_stream_that_is_closed_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    drop_unwritable()
