"""Tests of the command line as a whole: exit statuses, output and signals."""

import ctypes
import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    closing,
    contextmanager,
)
from pathlib import Path

import pytest
import support
import trio
from support import Program, connected

from trio_http import __version__
from trio_http.command import cli, launching, single_process
from trio_http.command.cli import main
from trio_http.command.option_values import CAN_HAVE_WORKERS
from trio_http.observe import log_writer
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.listeners import open_listeners
from trio_http.testing import Client, ReceivedResponse

NOWHERE = "192.0.2.1:0"  # an address for documentation (RFC 5737), which no machine has

LOCALHOST = ("Host", "localhost")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to an empty directory, and forget the modules that a test imports from it."""
    monkeypatch.chdir(tmp_path)
    # If wrong use is not noticed, the server must not start.
    monkeypatch.setenv("TRIO_HTTP_BIND", NOWHERE)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("COLUMNS", "80")
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


# Wrong use


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the line that wrong use prints."""
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    (line,) = errors.splitlines()
    assert errors == line + "\n"
    return line


def test_one_worker_on_system_without_workers_serves_in_this_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "CAN_HAVE_WORKERS", False)
    monkeypatch.setattr(launching, "supervise", None)
    assert f" {NOWHERE}: " in error_line(capsys, "challenge", "--workers", "1")


def test_repeated_command_keeps_interpreter_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-P", "-m", "trio_http", "files", "."])
    again = [sys.executable, "-P", "-m", "trio_http", "files", "."]
    assert cli._this_command(None) == again
    assert cli._this_command(["files", "."]) == [sys.executable, "-m", "trio_http", "files", "."]


def test_busy_port_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        line = error_line(capsys, "challenge", "--bind", "127.0.0.1:0", "--bind", address)
    assert line == f"trio-http: cannot listen on {address}: Address already in use"


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("", "module", "not a valid MODULE:NAME, such as hello:app: module"),
        ("", "module:", "not a valid MODULE:NAME, such as hello:app: module:"),
        ("", ":app", "not a valid MODULE:NAME, such as hello:app: :app"),
        ("", "nowhere:app", "cannot load nowhere:app: ModuleNotFoundError: No module named "),
        (
            "",
            ".module:app",
            "cannot load .module:app: TypeError: ",
        ),  # a relative import without a package
        ("def app(:", "module:app", "cannot load module:app: SyntaxError: "),
        ("\nimport nowhere", "module:app", "No module named 'nowhere' ({path}, line 2)"),
        ("\n\n1 / 0", "module:app", "ZeroDivisionError: division by zero ({path}, line 3)"),
        ("raise ValueError('two\\nlines')", "module:app", "ValueError: two lines ({path}, line 1)"),
        ("import sys; sys.exit(3)", "module:app", "SystemExit: 3 ({path}, line 1)"),
        ("", "module:app", "AttributeError: module 'module' has no attribute 'app'"),
        ("app = 1", "module:app.x", "AttributeError: 'int' object has no attribute 'x'"),
        (
            "app = 1",
            "module:app",
            "module:app cannot be served: it must be a Router, an async function or ",
        ),
        (
            "def app(request): ...",
            "module:app",
            "module:app cannot be served: it must be a Router, ",
        ),
        ("async def app(): ...", "module:app", "must take exactly one argument: too many"),
        ("async def app(request, x): ...", "module:app", "missing a required argument: 'x'"),
        (  # the class instead of an instance
            "class App:\n async def __call__(self, request): ...",
            "module:App",
            "module:App cannot be served: it must be a Router, ",
        ),
    ],
)
def test_unloadable_app_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], directory: Path, source: str, name: str, expected: str
) -> None:
    path = directory / "module.py"
    path.write_text(source)
    line = error_line(capsys, "app", name)
    assert line.startswith("trio-http: ")
    assert expected.format(path=path) in line


def test_removed_current_directory_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    directory.rmdir()
    assert "FileNotFoundError" in error_line(capsys, "app", "module:app")


def test_malformed_address_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    line = error_line(capsys, "files", ".", "--bind", "nonsense")
    assert line.startswith("trio-http: --bind: not a valid HOST:PORT, such as ")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--bind a..b:80", "not a valid host name: a..b:80"),
        (f"--bind {NOWHERE}", f"cannot listen on {NOWHERE}: "),
        (f"--bind {'x' * 5000}:80", "not a valid host name: x"),
        (f"--workers 2 --bind {NOWHERE}", f"cannot listen on {NOWHERE}: "),
    ],
)
def test_unusable_address_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], options: str, expected: str
) -> None:
    line = error_line(capsys, "files", ".", *options.split())
    assert line.startswith(f"trio-http: {expected}")


def test_interrupt_during_loading_exits_with_130_and_no_output(
    capsys: pytest.CaptureFixture[str], directory: Path
) -> None:
    (directory / "module.py").write_text("raise KeyboardInterrupt")
    assert main(["app", "module:app"]) == 128 + signal.SIGINT
    assert capsys.readouterr() == ("", "")


def test_crash_prints_traceback_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*addresses: str) -> list[trio.SocketListener]:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(single_process, "open_listeners", crash)
    assert main(["challenge"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("Traceback (most recent call last):\n")
    assert errors.endswith("\nRuntimeError: a mistake\n")


# Help, version and settings


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


def test_help_and_version_are_printed_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"trio-http {__version__}\n"
    assert printed(capsys, "--help").startswith("Usage: trio-http ")


def test_show_settings_prints_settings_and_exits(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "files", ".", "--timeout-idle", "5", "--show-settings")
    assert re.search("^timeout-idle = 5 +# command line$", text, re.MULTILINE)
    assert re.search(f'^bind = \\["{NOWHERE}"\\] +# TRIO_HTTP_BIND$', text, re.MULTILINE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments", ["--version", "--help", "files --help", "files . --show-settings"]
)
def test_unwritable_standard_output_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments.split()) == 1
        full.flush()  # as Python does at exit
    line = "trio-http: cannot write to the standard output: No space left on device\n"
    assert capsys.readouterr().err == line


# Serving in this process


FAILING = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def app():
    raise RuntimeError("no database")
    yield
"""


def test_app_that_fails_to_start_logs_traceback_and_exits_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_start.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    assert main(["app", "failing_start:app", "--bind", "127.0.0.1:0"]) == 1
    said = capsys.readouterr().err
    assert "[SERVER FAILED] RuntimeError: no database" in said
    assert "failing_start.py" in said
    assert "SERVER STOPPED" not in said


def visit(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[ReceivedResponse]:
    """Run a command, send it one request and then SIGTERM; return the responses."""
    answers = []

    async def ask(port: int) -> None:
        async with connected(port) as client:
            answers.append(await client.get("/"))
        signal.raise_signal(signal.SIGTERM)

    async def open_and_ask(*addresses: str) -> list[trio.SocketListener]:
        (listener,) = await open_listeners(*addresses)
        # A system task, because the server accepts connections only after this returns.
        trio.lowlevel.spawn_system_task(ask, listener.socket.getsockname()[1])
        return [listener]

    monkeypatch.setattr(single_process, "open_listeners", open_and_ask)
    assert main([*arguments, "--bind", "127.0.0.1:0"]) == 0
    return answers


@pytest.mark.parametrize(
    ("options", "lines", "dated"),
    [("", 6, True), ("--log-level info", 6, True), ("--log-level warning --no-date", 0, False)],
)
def test_log_level_and_date_options_take_effect(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    lines: int,
    dated: object,
) -> None:
    # Few connections, because a lack of descriptors would log another line.
    (answer,) = visit(monkeypatch, "challenge", "--connections", "9", *options.split())
    assert answer.status == 200
    assert ("Date" in answer.headers) is dated
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == lines


# The program as a process


def started(
    *arguments: str, before: Sequence[str] = (), stderr: int = subprocess.PIPE
) -> AbstractAsyncContextManager[Program]:
    """Start the command on a free port of 127.0.0.1; leaving the block ends it."""
    command = [*before, sys.executable, "-m", "trio_http", *arguments, "--bind", "127.0.0.1:0"]
    return support.started(command, stderr=stderr)


async def begin_upload(client: Client) -> None:
    """Begin an upload of ten bytes, and wait for the interim response."""
    await client.send(
        b"POST /files/new HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    interim = await client.response("HEAD")
    assert interim.status == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_drains_the_program(directory: Path, number: signal.Signals) -> None:
    async with (
        started("challenge", "--directory", ".") as program,
        connected(await program.port()) as client,
        connected(await program.port()) as idle,
    ):
        await begin_upload(client)
        program.process.send_signal(number)
        await program.line_with(f"[SERVER STOPPING] {number.name}")
        assert await idle.rest() == b""
        await idle.stream.aclose()
        await client.send(b"0123456789")
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (201, "close")
        await client.stream.aclose()
        assert await program.process.wait() == 0
        assert "Traceback" not in program.errors
    assert (directory / "new").read_bytes() == b"0123456789"


async def test_second_signal_stops_the_program_at_once(directory: Path) -> None:
    async with (
        started("challenge", "--directory", ".") as program,
        connected(await program.port()) as client,
    ):
        await begin_upload(client)
        program.process.send_signal(signal.SIGINT)
        await program.line_with("[SERVER STOPPING]")
        program.process.send_signal(signal.SIGINT)
        with trio.fail_after(Timeouts().grace / 2):
            assert await program.process.wait() == 0
        assert "Traceback" not in program.errors
    assert os.listdir(directory) == []  # noqa: PTH208 - no other task runs


@contextmanager
def watched(path: Path) -> Iterator[int]:
    """Block every attempt to open a file, as a virus scanner does (fanotify).

    Yields a descriptor that becomes readable at an attempt. The blocked call resembles one to
    a file system that hangs.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        scanner = libc.fanotify_init(FAN_CLASS_CONTENT, os.O_RDONLY)
        mark = libc.fanotify_mark
    except (OSError, AttributeError):
        scanner = -1
    if scanner < 0:
        pytest.skip("this process cannot block the opening of files")
    try:
        event = ctypes.c_uint64(FAN_OPEN_PERM)
        if mark(scanner, FAN_MARK_ADD, event, AT_FDCWD, os.fsencode(path)) != 0:
            pytest.skip("this file system cannot block the opening of files")
        yield scanner
    finally:
        os.close(scanner)


FAN_CLASS_CONTENT, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD = 0x4, 0x1, 0x10000, -100


async def test_second_signal_stops_a_program_with_a_hanging_thread(directory: Path) -> None:
    for name in ("hanging", "other"):
        (directory / name).write_text(name)
    with watched(directory / "hanging") as scanner:
        async with (
            started("files", ".", "--writable") as program,
            connected(await program.port()) as client,
            connected(await program.port()) as another,
        ):
            await client.send(b"GET /hanging HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await trio.lowlevel.wait_readable(scanner)
            # One thread hangs, and other requests are still served.
            assert (await another.get("/other", [LOCALHOST])).body == b"other"
            assert (await another.request("PUT", "/new", [LOCALHOST], b"x")).status == 201
            program.process.send_signal(signal.SIGTERM)
            await program.line_with("[SERVER STOPPING]")
            program.process.send_signal(signal.SIGTERM)
            with trio.fail_after(Timeouts().grace / 2):
                assert await program.process.wait() == 0
            assert "Traceback" not in program.errors


async def test_program_serves_files(directory: Path) -> None:
    (directory / "a file.txt").write_text("hello")
    async with (
        started("files", ".", "--no-date") as program,
        connected(await program.port()) as client,
    ):
        answer = await client.get("/a%20file.txt", [LOCALHOST])
        assert (answer.status, answer.body) == (200, b"hello")
        assert "Date" not in answer.headers


async def test_program_serves_an_app_with_date_headers(directory: Path) -> None:
    (directory / "module.py").write_text(
        "from trio_http import Request, Response\n"
        "async def app(request: Request): return Response.text('hello')"
    )
    async with (
        started("app", "module:app") as program,
        connected(await program.port()) as client,
    ):
        answer = await client.get("/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert "Date" in answer.headers


async def test_missing_directory_is_one_line_and_status_2() -> None:
    async with started("challenge", "--directory", "nowhere") as program:
        assert await program.process.wait() == 2
        await program.line_with("nowhere: No such file or directory")
        assert program.errors.count("\n") == 1


async def test_second_connection_waits_at_limit_of_one(directory: Path) -> None:
    async with (
        started("challenge", "--directory", ".", "--connections", "1") as program,
        connected(await program.port()) as first,
        connected(await program.port()) as second,
    ):
        await begin_upload(first)
        await second.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await first.send(b"0123456789")
        assert (await first.response()).status == 201
        await first.stream.aclose()
        assert (await second.response()).status == 200
        program.process.terminate()
        await program.line_with("[SERVER STOPPED]")
        told = re.findall(r"\[(CONN|DISC|REC)", program.errors)
        assert told[:4] == ["CONN", "REC", "DISC", "CONN"]


@pytest.mark.skipif(not CAN_HAVE_WORKERS, reason="this system has no limit on descriptors")
@pytest.mark.parametrize("options", ["", "--workers 2"])
async def test_connections_are_limited_by_descriptors(directory: Path, options: str) -> None:
    limited = ("sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")
    arguments = ("files", ".", "--connections", "1000", *options.split())
    async with started(*arguments, before=limited) as program, AsyncExitStack() as stack:
        port = await program.port()
        # All clients stay connected. The longest idle connections are closed to make room,
        # also when two processes share the connections.
        for _ in range(130):
            client = await stack.enter_async_context(connected(port))
            assert (await client.get("/", {"Host": "localhost"})).status == 200
        program.process.terminate()
        await program.line_with("[SERVER STOPPED]")
        (line,) = re.findall(r".*\[CONNECTIONS LIMITED\].*", program.errors)
        assert line.endswith(
            "to 60 of 1000, because a process may open no more than 200 files (ulimit -Hn)"
        )
        assert " WARNING " in line
        assert "[SERVER FULL] 60 connections" in program.errors
        assert "Too many open files" not in program.errors


LASTING = """
import os
from contextlib import asynccontextmanager
from trio_http import Router

@asynccontextmanager
async def app():
    open(f"begun-{os.getpid()}", "w").close()
    yield Router()
    open(f"over-{os.getpid()}", "w").close()
"""


def pids_named(directory: Path, word: str) -> set[str]:
    return {path.name.partition("-")[2] for path in directory.glob(f"{word}-*")}


@pytest.mark.skipif(not CAN_HAVE_WORKERS, reason="this system cannot have workers")
async def test_each_worker_enters_and_exits_the_lifetime(directory: Path) -> None:
    (directory / "module.py").write_text(LASTING)
    async with started("app", "module:app", "--workers", "2") as program:
        for number in (1, 2):
            line = await program.line_with(f"[WORKER {number}] ")
            pid = re.search(r"pid (\d+) is listening", line)
            assert pid is not None
            assert pid[1] in pids_named(directory, "begun")
        assert not pids_named(directory, "over")
        program.process.terminate()
        await program.line_with("[SERVER STOPPED]")
    assert len(pids_named(directory, "begun")) == 2
    assert pids_named(directory, "begun") == pids_named(directory, "over")


def test_broken_standard_error_keeps_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as errors:
        errors.write("to a terminal that has gone")
        os.close(reading)
        monkeypatch.setattr(sys, "stderr", errors)
        assert main(["app", "nowhere"]) == 2
        errors.flush()  # as Python does at exit


@pytest.fixture
def stuck() -> Iterator[tuple[io.FileIO, int]]:
    """Return both ends of a pipe, of which the test reads only sometimes."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as errors:
        yield errors, writing


async def port_told_in(errors: io.FileIO) -> int:
    await trio.lowlevel.wait_readable(errors)
    line = errors.read(1000)
    assert b"[SERVER STARTED]" in line
    return int(line.rpartition(b":")[2])


async def send_long_requests(client: Client, times: int) -> None:
    """Send requests that log a line of 8 KB each."""
    for _ in range(times):
        assert (await client.get("/" + "x" * 8000)).status == 404


async def test_unread_log_blocks_neither_clients_nor_signals(
    stuck: tuple[io.FileIO, int],
) -> None:
    errors, writing = stuck
    async with started("challenge", stderr=writing) as program:
        os.close(writing)
        async with connected(await port_told_in(errors)) as client:
            await send_long_requests(client, 20)  # more than a pipe holds
        program.process.terminate()
        assert await program.process.wait() == 0


async def test_unread_log_reports_number_of_lost_lines(
    stuck: tuple[io.FileIO, int],
) -> None:
    errors, writing = stuck
    times = log_writer.CAPACITY // 8000 + 50
    async with started("challenge", stderr=writing):
        os.close(writing)
        async with connected(await port_told_in(errors)) as client:
            await send_long_requests(client, times)
            seen = lost = 0
            rest = b""
            while seen + lost < times:
                await trio.lowlevel.wait_readable(errors)
                *lines, rest = (rest + errors.read(65536)).split(b"\n")
                for line in lines:
                    seen += b"xxxx HTTP/1.1 -> 404" in line
                    lost += int(line.split()[3]) if line.endswith(b" lost") else 0
                    if seen == 20 and not lost:
                        await send_long_requests(client, 1)  # now the log has room for its line
    assert lost > 0


@pytest.mark.parametrize("missing", ["1", "2"])
async def test_file_does_not_get_the_descriptor_of_a_closed_stream(
    directory: Path, missing: str
) -> None:
    (directory / "module.py").write_text(
        "with open('taken', 'w') as file: file.write(f'{file.fileno() > 2}')\n1 / 0"
    )
    redirected = ["sh", "-c", f'exec "$@" {missing}>&-', "sh"]
    async with started("app", "module:app", before=redirected) as program:
        assert await program.process.wait() == 2
    assert (directory / "taken").read_text() == "True"


def test_server_without_standard_error_responds_with_500(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "module.py").write_text(
        "from trio_http import Request\n"
        "async def app(request: Request): raise RuntimeError('a mistake')"
    )
    monkeypatch.setattr(sys, "stderr", None)
    answers = visit(monkeypatch, "app", "module:app")
    assert [answer.status for answer in answers] == [500]
