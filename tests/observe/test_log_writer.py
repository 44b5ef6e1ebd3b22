"""Tests of writing to streams that take text at once, late, partly, or never."""

import errno
import io
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest
from support import PATIENCE, environment

from trio_http.observe import log_writer as room
from trio_http.observe.log_writer import Spool

# Seconds within which everything in these tests happens, on a machine however slow.


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extend the time-out, so that a busy machine does not cut off tests of the result."""
    monkeypatch.setattr(room, "PATIENCE", PATIENCE)


def notice(lines: int) -> str:
    return f"lost {lines}\n"


def numbered(count: int) -> list[str]:
    return [f"line {number}\n" for number in range(count)]


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Yield both ends of a pipe, the writing one as Python opens its standard error."""
    reading, writing = os.pipe()
    with closing(os.fdopen(reading, "rb", 0)), os.fdopen(writing, "w") as stream:
        yield reading, stream


def read_all(descriptor: int) -> str:
    """Return everything that is still in a pipe."""
    data = b""
    while piece := os.read(descriptor, 65536):
        data += piece
    return data.decode()


def in_thread(descriptor: int) -> tuple[threading.Thread, list[str]]:
    """Begin to read everything from a pipe."""
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(read_all(descriptor)))
    reader.start()
    return reader, found


def test_text_arrives_completely_and_in_order() -> None:
    lines = numbered(1000)
    with pipe() as (reading, stream):
        with Spool(stream, notice) as spool:
            for line in lines:
                spool.write(line)
        stream.close()
        assert read_all(reading) == "".join(lines)


def test_text_arrives_at_a_socket(socket_pair: tuple[socket.socket, socket.socket]) -> None:
    # Under systemd, the standard error is a socket. It cannot be reopened.
    ours, theirs = socket_pair
    with ours.makefile("w") as stream, Spool(stream, notice) as spool:
        spool.write("hello\n")
    assert theirs.recv(100) == b"hello\n"


@pytest.mark.skipif(sys.platform != "linux", reason="this system cannot reopen pipes")
def test_pipe_gets_text_at_once() -> None:
    with pipe() as (reading, stream), Spool(stream, notice) as spool:
        os.set_blocking(reading, False)
        for line in numbered(3):
            spool.write(line)
            assert os.read(reading, 100).decode() == line
        assert os.get_blocking(stream.fileno())


def test_pipe_without_a_reader_raises_nothing() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, Spool(stream, notice) as spool:
        os.close(reading)
        spool.write("hello\n")
        spool.write("hello\n")


def test_regular_file_gets_text_at_once(tmp_path: Path) -> None:
    before = threading.active_count()
    with (tmp_path / "log").open("w") as stream, Spool(stream, notice) as spool:
        for line in numbered(3):
            spool.write(line)
        assert (tmp_path / "log").read_text() == "line 0\nline 1\nline 2\n"
        assert threading.active_count() == before


def test_regular_file_over_its_limit_reports_lost_lines(tmp_path: Path) -> None:
    # The limit applies to a process, so a subprocess sets it.
    source = (
        "import resource, signal, sys\n"
        f"from {room.__name__} import Spool\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4, -1))\n"
        "with open('log', 'w') as stream, Spool(stream, 'lost {}\\n'.format) as spool:\n"
        "    spool.write('one\\n')\n"
        "    spool.write('two\\n')\n"
        "    spool.write('three\\n')\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
    )
    subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        env=environment(),
        check=True,
        timeout=PATIENCE,
    )
    assert (tmp_path / "log").read_text() == "one\nlost 2\n"


@pytest.mark.parametrize("unbuffered", [False, True])
def test_text_is_written_before_the_end_of_the_program(unbuffered: object) -> None:
    reading, writing = os.pipe()
    # As Python opens the standard error with and without the option -u.
    buffer = os.fdopen(writing, "wb", 0) if unbuffered else os.fdopen(writing, "wb")
    with (
        closing(os.fdopen(reading, "rb", 0)) as reader,
        io.TextIOWrapper(buffer) as stream,
        Spool(stream, notice) as spool,
    ):
        spool.write("hello\n")
        assert reader.read(100) == b"hello\n"


def test_unread_lines_are_lost_and_counted_in_their_place() -> None:
    total, lines = 20_000, numbered(20_000)  # more than a pipe holds
    with pipe() as (reading, stream):
        with Spool(stream, notice, capacity=10_000) as spool:
            for line in lines:
                spool.write(line)  # returns although the pipe is not read
            reader, found = in_thread(reading)
        stream.close()
        reader.join(PATIENCE)
    expected, losses = 0, 0
    for line in found[0].splitlines():
        if lost := re.fullmatch(r"lost (\d+)", line):
            expected += int(lost[1])
            losses += 1
        else:
            assert line == f"line {expected}"
            expected += 1
    assert expected == total
    assert losses > 0


def test_end_does_not_wait_for_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.01)
    before = threading.active_count()
    with pipe() as (_, stream):
        with Spool(stream, notice) as spool:
            for line in numbered(20_000):
                spool.write(line)
        assert threading.active_count() == before + 1  # the thread is still waiting
        (waiting,) = (each for each in threading.enumerate() if each.name == "log")
    waiting.join(PATIENCE)  # the write has failed because the reader has closed the pipe
    assert threading.active_count() == before


class Disk(io.RawIOBase):
    """A file with room for this many bytes at each attempt, or for none."""

    def __init__(self, *room: int | None) -> None:
        self.room = list(room)
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int | None:
        room = self.room.pop(0) if self.room else len(data)
        if room is None:  # the pipe was full
            return None
        if room == 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        self.content += bytes(data[:room])
        return min(room, len(data))


@pytest.mark.parametrize(
    ("room", "texts", "expected"),
    [
        ([], ["a\n", "b\n"], "a\nb\n"),
        ([1, 1, 1], ["a\n", "b\n"], "a\nb\n"),  # in pieces
        ([0], ["a\n", "b\n"], "lost 1\nb\n"),
        ([0], ["a\n  x\n", "b\n"], "lost 2\nb\n"),
        ([0, 0, 0], ["a\n", "b\n", "c\n"], "lost 2\nc\n"),  # the notice was refused once
        ([0, 0, 9], ["a\n", "b\n"], "b\nlost 1\n"),  # reported at the end
        # A line that was begun is ended before another one begins, and counts as lost.
        ([1, 0], ["abc\n", "b\n"], "a\nlost 1\nb\n"),
        ([2, 0], ["a\nb\n", "c\n"], "a\nlost 1\nc\n"),
        ([3, 0], ["a\nbc\n", "d\n"], "a\nb\nlost 1\nd\n"),
        ([1, 0, 0, 0], ["abc\n", "b\n"], "a\nlost 2\n"),  # its end cannot be written either
    ],
)
def test_refused_lines_are_counted(room: list[int | None], texts: list[str], expected: str) -> None:
    disk = Disk(*room)
    stream = io.TextIOWrapper(io.BufferedWriter(disk))
    with Spool(stream, notice) as spool:
        for text in texts:
            spool.write(text)
    assert disk.content.decode() == expected


def test_stream_made_non_blocking_by_another_process_is_waited_for(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    writable, _ = socket_pair

    class Pipe(Disk):
        def fileno(self) -> int:
            return writable.fileno()

    stream = Pipe(None, 2, None, None)
    with Spool(io.TextIOWrapper(io.BufferedWriter(stream)), notice) as spool:
        spool.write("hello\n")
    assert stream.content == b"hello\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_device_raises_nothing() -> None:
    with open("/dev/full", "w") as stream, Spool(stream, notice) as spool:  # noqa: PTH123
        spool.write("hello\n")


def test_closed_stream_raises_nothing(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        pass
    with Spool(stream, notice) as spool:
        spool.write("hello\n")


def test_missing_stream_discards_text() -> None:
    # Python has no standard error if it was closed when Python started.
    with Spool(None, notice) as spool:
        spool.write("hello\n")


def test_text_stream_without_bytes_gets_text() -> None:
    stream = io.StringIO()
    with Spool(stream, notice) as spool:
        spool.write("caf\xe9\n")
    assert stream.getvalue() == "caf\xe9\n"


def test_text_that_cannot_be_encoded_is_escaped() -> None:
    disk = Disk()
    with Spool(io.TextIOWrapper(io.BufferedWriter(disk)), notice) as spool:
        spool.write("caf\xe9 \udc80\n")  # as in file names
    assert disk.content == "caf\xe9 \\udc80\n".encode()
