"""Tests of the lines of the access log, and of their output."""

import errno
import io
import re
import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_http.http1.server_events import (
    Connected,
    Crowded,
    Disconnected,
    Ending,
    Failure,
    NotAccepting,
    Record,
    ServerEvent,
)
from trio_http.observe.access_log import (
    Level,
    Log,
    level_of,
    line_of_failure,
    line_of_loss,
    line_of_worker,
    log_to,
    printable,
    text_of,
)
from trio_http.serving.workers import Ended, Listening, NotStarted, Renewed, WorkerEvent

CLIENT = "127.0.0.1:47920"
INSTEAD = "new clients take the place of idle ones, or wait"


def record(
    *,
    line: bytes = b"GET / HTTP/1.1",
    status: int = 200,
    sent: int = 0,
    seconds: float = 0,
    ending: Ending = Ending.COMPLETE,
) -> Record:
    return Record(CLIENT, line, None, status, sent, seconds, ending)


def failure(text: str, line: bytes = b"GET / HTTP/1.1") -> Failure:
    """Return a failure as it is reported, with an error that has been raised."""

    def fail() -> None:
        raise RuntimeError(text)

    with pytest.raises(RuntimeError) as caught:
        fail()
    return Failure(CLIENT, line, caught.value)


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (Connected(CLIENT), Level.INFO, f"[CONNECTED] {CLIENT}"),
        (Disconnected(CLIENT), Level.INFO, f"[DISCONNECTED] {CLIENT}"),
        (
            record(sent=3, seconds=0.0123),
            Level.INFO,
            f"[RECEIVED from {CLIENT}] GET / HTTP/1.1 -> 200, 3 bytes, 12.3 ms",
        ),
        (
            record(line=b"\x16\x03", status=400, seconds=12),
            Level.INFO,
            f"[RECEIVED from {CLIENT}] \\x16\\x03 -> 400, 0 bytes, 12000.0 ms",
        ),
        (  # the client left before any head was sent
            record(line=b"GET /", status=0, ending=Ending.DISCONNECTED),
            Level.INFO,
            f"[RECEIVED from {CLIENT}] GET / -> no response, 0 bytes, 0.0 ms, the client went away",
        ),
        (  # the server broke this off, and the next as well
            record(line=b"GET /", sent=10, ending=Ending.ABORTED),
            Level.WARNING,
            f"[RECEIVED from {CLIENT}] GET / -> 200, 10 bytes, 0.0 ms, {Ending.ABORTED.value}",
        ),
        (
            record(line=b"GET /", sent=10, ending=Ending.CANCELLED),
            Level.WARNING,
            f"[RECEIVED from {CLIENT}] GET / -> 200, 10 bytes, 0.0 ms, cancelled",
        ),
        (
            Crowded(50),
            Level.WARNING,
            f"[SERVER FULL] 50 connections (--connections): {INSTEAD}",
        ),
        (
            NotAccepting(OSError(24, "Too many open files")),
            Level.WARNING,
            f"[NOT ACCEPTING] [Errno 24] Too many open files: {INSTEAD}",
        ),
    ],
)
def test_event_as_text_with_its_level(event: ServerEvent, level: Level, text: str) -> None:
    assert (level_of(event), text_of(event)) == (level, text)


def test_failure_is_written_with_its_traceback() -> None:
    level, text = level_of(failure("a mistake")), text_of(failure("a mistake"))
    first, begin, *frames, last = text.split("\n")
    assert level is Level.ERROR
    assert first == f"[ERROR for {CLIENT}] GET / HTTP/1.1"
    assert begin == "  Traceback (most recent call last):"
    assert any(f'"{__file__}"' in frame for frame in frames)
    assert last == "  RuntimeError: a mistake"


def test_failure_outside_of_a_request_has_no_request_line() -> None:
    text = text_of(failure("a mistake", b""))
    assert text.startswith(f"[ERROR for {CLIENT}]\n")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        # The text of an error may quote a client's bytes, with escapes decoded.
        ("a\n2026-01-01 00:00:00.000 INFO    [SERVER STOPPED]", "[SERVER STOPPED]"),
        ("\x1b[2J", "RuntimeError: \\x1b[2J"),
        ("a\rb", "RuntimeError: a\\rb"),
        ("caf\xe9", "RuntimeError: caf\xe9"),  # printable, so left as it is
    ],
)
def test_text_of_an_error_cannot_forge_a_line(text: str, last: str) -> None:
    _, *lines = text_of(failure(text)).split("\n")
    assert lines[-1].endswith(last)
    assert all(line.startswith("  ") and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET /a?b=c HTTP/1.1", "GET /a?b=c HTTP/1.1"),
        (b"", ""),
        (b"\x16\x03\x01\x02", "\\x16\\x03\\x01\\x02"),  # TLS sent to a port without TLS
        (b"GET /\xc3\xa9", "GET /\\xc3\\xa9"),
        (b"GET /\x1b[31m", "GET /\\x1b[31m"),
        (b"GET /\x7f", "GET /\\x7f"),
        (b"GET\t/", "GET\\t/"),
    ],
)
def test_bytes_are_escaped(raw: bytes, expected: str) -> None:
    assert printable(raw) == expected


@given(st.binary())
def test_any_bytes_become_one_line_of_ascii(raw: bytes) -> None:
    text = printable(raw)
    assert text.isprintable()
    assert text.isascii()


# Workers


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (Listening(1, 123), Level.INFO, "[WORKER 1] pid 123 is listening"),
        (Ended(2, 123, 0), Level.INFO, "[WORKER 2] pid 123 has ended"),
        (Ended(2, 123, 1), Level.ERROR, "[WORKER 2] pid 123 exited with status 1"),
        (
            Ended(2, 123, 0, 0),
            Level.ERROR,
            "[WORKER 2] pid 123 exited with status 0; restarting now",
        ),
        (
            Ended(2, 123, -9, 1.0),
            Level.ERROR,
            "[WORKER 2] pid 123 was killed by signal 9; restarting in 1 s",
        ),
        (
            NotStarted(2, OSError(errno.EAGAIN, "no more processes"), 32.0),
            Level.ERROR,
            "[WORKER 2] could not be started: no more processes; restarting in 32 s",
        ),
        (
            NotStarted(1, OSError(errno.EAGAIN, "no more processes")),
            Level.ERROR,
            "[WORKER 1] could not be started: no more processes",
        ),
        (Renewed(), Level.INFO, "[SERVER RENEWED]"),
        (
            Renewed(failed=2),
            Level.ERROR,
            "[SERVER NOT RENEWED] worker 2 could not be replaced; all running workers stay",
        ),
    ],
)
def test_worker_event_as_text_with_its_level(event: WorkerEvent, level: Level, text: str) -> None:
    assert line_of_worker(event) == (level, text)


def test_failure_of_the_server_is_one_line_and_an_indented_traceback() -> None:
    level, text = line_of_failure(failure("the pool\x1b[31m\nis empty").error)
    line, *trace = text.split("\n")
    assert level == Level.ERROR
    assert line == r"[SERVER FAILED] RuntimeError: the pool\x1b[31m\nis empty"
    assert trace[0] == "  Traceback (most recent call last):"
    assert all(each.startswith("  ") and each.isprintable() for each in trace)


# The log


def test_line_begins_with_local_time_and_level() -> None:
    moment = time.mktime((2026, 11, 20, 14, 27, 4, 0, 0, -1)) + 0.0625
    stream = io.StringIO()
    log = Log(stream, Level.INFO, lambda: moment)
    log.write(Level.INFO, "hello")
    log.write(Level.WARNING, "hello")
    log.write(Level.ERROR, "hello")
    assert stream.getvalue() == (
        "2026-11-20 14:27:04.062 INFO    hello\n"
        "2026-11-20 14:27:04.062 WARNING hello\n"
        "2026-11-20 14:27:04.062 ERROR   hello\n"
    )


def test_default_clock_is_the_wall_clock() -> None:
    stream = io.StringIO()
    before = time.time()
    Log(stream, Level.INFO).write(Level.INFO, "hello")
    text, _, _ = stream.getvalue().partition(".")
    assert int(before) <= time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")) <= time.time()


@pytest.mark.parametrize(
    ("level", "written"),
    [
        (Level.INFO, ["INFO", "WARNING", "ERROR"]),
        (Level.WARNING, ["WARNING", "ERROR"]),
        (Level.ERROR, ["ERROR"]),
    ],
)
def test_each_level_includes_those_after_it(level: Level, written: list[str]) -> None:
    stream = io.StringIO()
    report = log_to(Log(stream, level))
    report(record())
    report(record(ending=Ending.CANCELLED))
    report(failure("a mistake"))
    lines = [line for line in stream.getvalue().splitlines() if CLIENT in line]
    assert [line.split()[2] for line in lines] == written


def test_lost_lines_are_reported_as_a_warning() -> None:
    line, lines = line_of_loss(1), line_of_loss(23)
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.fullmatch(rf"{stamp} WARNING 1 log line was lost\n", line)
    assert re.fullmatch(rf"{stamp} WARNING 23 log lines were lost\n", lines)


async def test_ordinary_lines_are_written_together_before_the_next_wait() -> None:
    stream = io.StringIO()
    log = Log(stream, Level.INFO, lambda: 0)
    with log.gathering():
        log.write(Level.INFO, "one")
        log.write(Level.INFO, "two")
        assert stream.getvalue() == ""
        await trio.lowlevel.checkpoint()
        assert [line[-3:] for line in stream.getvalue().splitlines()] == ["one", "two"]
        await trio.lowlevel.checkpoint()
        log.write(Level.INFO, "three")
    assert stream.getvalue().endswith("three\n")
    log.write(Level.INFO, "four")
    await trio.lowlevel.checkpoint()
    assert stream.getvalue().endswith("four\n")


async def test_warning_is_written_at_once_after_the_lines_before_it() -> None:
    stream = io.StringIO()
    log = Log(stream, Level.INFO)
    with log.gathering():
        log.write(Level.INFO, "ordinary")
        log.write(Level.WARNING, "broken off")
        lines = stream.getvalue().splitlines()
    assert [line.split()[-1] for line in lines] == ["ordinary", "off"]


async def test_nothing_is_gathered_if_ordinary_lines_are_disabled() -> None:
    stream = io.StringIO()
    log = Log(stream, Level.WARNING)
    with log.gathering():
        log.write(Level.INFO, "ordinary")
        log.write(Level.WARNING, "broken off")
        assert stream.getvalue().count("\n") == 1


async def test_gathered_lines_are_written_when_an_error_ends_the_block() -> None:
    stream = io.StringIO()
    log = Log(stream, Level.INFO)

    def fail() -> None:
        with log.gathering():
            log.write(Level.INFO, "last words")
            raise RuntimeError("the end")

    with pytest.raises(RuntimeError, match="the end"):
        fail()
    assert stream.getvalue().endswith("last words\n")
