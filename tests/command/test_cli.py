"""The command line: what may be said, and what happens then."""

import ctypes
import gzip
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
from json import loads
from pathlib import Path

import pytest
import support
import trio
from support import Program, connected

from trio_http import __version__
from trio_http.command import cli, running
from trio_http.command.cli import main
from trio_http.file_server import precompressed_siblings
from trio_http.http1.exchange import App
from trio_http.observe import log_writer
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.listeners import open_listeners
from trio_http.testing import Client, ReceivedResponse, open_client

# Seconds within which everything here happens, however slow the machine.

DEFAULT_BIND = cli.DEFAULT_BIND
NOWHERE = "192.0.2.1:0"  # an address for documentation (RFC 5737): no machine has it

COMMANDS = {"challenge": [], "files": ["."], "app": ["hello:app"]}

LOCALHOST = ("Host", "localhost")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a current folder of its own, and forget the modules that are imported from it."""
    monkeypatch.chdir(tmp_path)
    # What should have been refused, but was not, shall at least not begin to serve.
    monkeypatch.setattr(cli, "DEFAULT_BIND", NOWHERE)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("COLUMNS", "80")
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


# Wrong use: one line, status 2


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that wrong use ends with."""
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    (line,) = errors.splitlines()
    assert errors == line + "\n"
    return line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "trio-http: the following arguments are required: COMMAND"),
        ("serve", "trio-http: argument COMMAND: invalid choice: 'serve'"),
        ("--nonsense", "trio-http: "),
        ("challenge --nonsense", "trio-http: unrecognized arguments: --nonsense"),
        ("challenge --dir .", "trio-http: unrecognized arguments: --dir ."),  # no guessing
        ("challenge more", "trio-http: unrecognized arguments: more"),
        ("challenge --directory", "trio-http: argument --directory: expected one argument"),
        (
            "challenge --directory nowhere",
            "trio-http: argument --directory: cannot serve nowhere: No such file or directory",
        ),
        (
            "challenge --directory file",
            "trio-http: argument --directory: cannot serve file: Not a directory",
        ),
        (
            f"challenge --directory {'long' * 100}",
            f"trio-http: argument --directory: cannot serve {'long' * 100}: File name too long",
        ),
        (
            "challenge --server-name a:80",
            "trio-http: argument --server-name: not a domain name or an IP address without a port",
        ),
        ("files . --server-name *", "trio-http: argument --server-name: not a domain name or "),
        ("files . --server-name http://a/", "trio-http: argument --server-name: not a domain "),
        ("app hello:app --server-name a", "trio-http: unrecognized arguments: --server-name a"),
        ("files", "trio-http: the following arguments are required: DIR"),
        ("files nowhere", "trio-http: argument DIR: cannot serve nowhere: No such file"),
        ("app", "trio-http: the following arguments are required: MODULE:NAME"),
    ],
)
def test_wrong_arguments_are_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: str, expected: str
) -> None:
    (folder / "file").touch()
    assert complaint(capsys, *arguments.split()).startswith(expected)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--bind nonsense", "argument --bind: not HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000"),
        ("--bind ::1:80", "argument --bind: not HOST:PORT, such as "),
        ("--bind localhost:65536", "argument --bind: not HOST:PORT, such as "),
        ("--bind a..b:80", "not the name of a host: a..b:80"),
        (f"--bind {NOWHERE}", f"cannot listen on {NOWHERE}: "),
        ("--workers 0", "argument --workers: not a number from 1 to 999999999: 0"),
        ("--workers some", "argument --workers: not a number from 1 to 999999999: some"),
        ("--workers 99999999", "argument --workers: more than "),
        (f"--workers {'9' * 5000}", "argument --workers: not a number from 1 to 999999999: 9"),
        (f"--connections {'9' * 5000}", "argument --connections: not a number from 1 to 999999999"),
        (f"--bind localhost:{'9' * 5000}", "argument --bind: not HOST:PORT, such as "),
        (f"--bind localhost:{'0' * 5000}", "argument --bind: not HOST:PORT, such as "),
        (f"--bind {'x' * 5000}:80", "not the name of a host: x"),
        (f"--workers 2 --bind {NOWHERE}", f"cannot listen on {NOWHERE}: "),
        ("--connections 0", "argument --connections: not a number from 1 to 999999999: 0"),
        ("--connections many", "argument --connections: not a number from 1 to 999999999: many"),
        (
            "--connections \u0663",
            "argument --connections: not a number from 1 to 999999999: \u0663",
        ),
        ("--log-level quiet", "argument --log-level: invalid choice: 'quiet'"),
    ],
)
def test_wrong_options_are_one_line_for_every_command(
    capsys: pytest.CaptureFixture[str], folder: Path, command: str, options: str, expected: str
) -> None:
    (folder / "hello.py").write_text("async def app(request): ...")
    line = complaint(capsys, command, *COMMANDS[command], *options.split())
    assert line.startswith(f"trio-http: {expected}")


@pytest.mark.parametrize("workers", ["2", "auto"])
def test_more_than_one_worker_where_there_can_be_none_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setattr(cli, "CAN_HAVE_WORKERS", False)
    monkeypatch.setattr(cli, "processors", lambda: 8)
    line = complaint(capsys, "challenge", "--workers", workers)
    assert line == "trio-http: argument --workers: there can be but one on this system"


def test_one_worker_where_there_can_be_none_is_this_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "CAN_HAVE_WORKERS", False)
    monkeypatch.setattr(cli, "supervise", None)
    assert f" {NOWHERE}: " in complaint(capsys, "challenge", "--workers", "1")


def workers_for(text: str) -> object:
    return cli._parser().parse_args(["challenge", "--workers", text]).workers


def test_workers_are_as_many_as_told_or_as_there_are_processors_within_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "processors", lambda: 2)
    assert workers_for("3") == 3
    assert workers_for("128") == 128
    assert workers_for("auto") == 2
    line = complaint(capsys, "challenge", "--workers", "129")
    assert line == "trio-http: argument --workers: more than 128, 64 for each processor: 129"


def test_command_is_repeated_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-P", "-m", "trio_http", "files", "."])
    again = [sys.executable, "-P", "-m", "trio_http", "files", "."]
    assert cli._this_command(None) == again
    assert cli._this_command(["files", "."]) == [sys.executable, "-m", "trio_http", "files", "."]


def test_a_field_that_cannot_be_sent_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, "files", ".", "--cache-control", "two\nlines")
    assert line.startswith("trio-http: not a field value, for Cache-Control: ")


@pytest.mark.parametrize("charset", ["", "two words", "utf-8;"])
def test_what_cannot_be_a_charset_is_one_line(
    capsys: pytest.CaptureFixture[str], charset: str
) -> None:
    line = complaint(capsys, "files", ".", "--charset", charset)
    assert line == f"trio-http: not the name of a charset: {charset!r}"


def test_siblings_that_clients_could_store_are_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--precompressed", "--writable", "--bind", "127.0.0.1:0"]
    line = complaint(capsys, "files", ".", *options)
    assert line.startswith("trio-http: precompressed files are not for a directory that clients ")


@pytest.mark.parametrize(
    "binds",
    [
        ["0.0.0.0:0"],
        ["[::]:0"],
        [":0"],  # every address
        ["192.0.2.1:0"],
        ["[2001:db8::1]:0"],
        ["localhost.test:0"],  # whatever that is
        ["127.0.0.1:0", "0.0.0.0:0"],
        ["localhost:0", "[::1]:0", "10.0.0.1:0"],
    ],
    ids=str,
)
def test_writable_for_others_is_one_line_unless_insisted_on(
    capsys: pytest.CaptureFixture[str], binds: list[str]
) -> None:
    options = [argument for bind in binds for argument in ("--bind", bind)]
    line = complaint(capsys, "files", ".", "--writable", *options)
    assert line.startswith(
        f"trio-http: every client that reaches {binds[-1]} could change the files: "
    )
    # Then it is something else that is wrong.
    wrong = ("--cache-control", "\n")
    assert "not a field value" in complaint(
        capsys, "files", ".", "--writable", "--allow-remote-writes", *wrong, *options
    )
    assert "not a field value" in complaint(capsys, "files", ".", *wrong, *options)


@pytest.mark.parametrize(
    "binds", [[], ["localhost:0"], ["127.0.0.1:0", "[::1]:0"], ["127.255.0.1:0"]], ids=str
)
def test_writable_for_this_machine_needs_no_insisting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, binds: list[str]
) -> None:
    monkeypatch.setattr(cli, "DEFAULT_BIND", DEFAULT_BIND)
    options = [argument for bind in binds for argument in ("--bind", bind)]
    line = complaint(capsys, "files", ".", "--writable", "--cache-control", "\n", *options)
    assert "not a field value" in line


def test_busy_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        line = complaint(capsys, "challenge", "--bind", "127.0.0.1:0", "--bind", address)
    assert line == f"trio-http: cannot listen on {address}: Address already in use"


def test_without_bind_it_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert DEFAULT_BIND == "localhost:4221"
    assert f" {NOWHERE}: " in complaint(capsys, "challenge")


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        ("", "module", "not MODULE:NAME: module"),
        ("", "module:", "not MODULE:NAME: module:"),
        ("", ":app", "not MODULE:NAME: :app"),
        ("", "nowhere:app", "cannot load nowhere:app: ModuleNotFoundError: No module named "),
        ("", ".module:app", "cannot load .module:app: TypeError: "),  # relative to what?
        ("def app(:", "module:app", "cannot load module:app: SyntaxError: "),
        ("\nimport nowhere", "module:app", "No module named 'nowhere' ({path}, line 2)"),
        ("\n\n1 / 0", "module:app", "ZeroDivisionError: division by zero ({path}, line 3)"),
        ("raise ValueError('two\\nlines')", "module:app", "ValueError: two lines ({path}, line 1)"),
        ("import sys; sys.exit(3)", "module:app", "SystemExit: 3 ({path}, line 1)"),
        ("", "module:app", "AttributeError: module 'module' has no attribute 'app'"),
        ("app = 1", "module:app.x", "AttributeError: 'int' object has no attribute 'x'"),
        ("app = 1", "module:app", "module:app is neither a Router nor an async function"),
        ("def app(request): ...", "module:app", "is neither a Router nor an async function"),
        ("async def app(): ...", "module:app", "is to be called with one argument: too many"),
        ("async def app(request, x): ...", "module:app", "missing a required argument: 'x'"),
        (  # the class, where one of its instances is meant
            "class App:\n async def __call__(self, request): ...",
            "module:App",
            "module:App is neither a Router nor an async function",
        ),
    ],
)
def test_app_that_cannot_be_had_is_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, source: str, name: str, expected: str
) -> None:
    path = folder / "module.py"
    path.write_text(source)
    line = complaint(capsys, "app", name)
    assert line.startswith("trio-http: ")
    assert expected.format(path=path) in line


def test_current_folder_that_is_gone_is_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    folder.rmdir()
    assert "FileNotFoundError" in complaint(capsys, "app", "module:app")


def test_interrupt_before_there_is_a_server_is_no_traceback(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "module.py").write_text("raise KeyboardInterrupt")
    assert main(["app", "module:app"]) == 128 + signal.SIGINT
    assert capsys.readouterr() == ("", "")


def test_crash_is_a_traceback_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*addresses: str) -> list[trio.SocketListener]:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(running, "open_listeners", crash)
    assert main(["challenge"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("Traceback (most recent call last):\n")
    assert errors.endswith("\nRuntimeError: a mistake\n")


# What is asked for is told


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--version") == f"trio-http {__version__}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", ["--version", "--help", "files --help"])
def test_what_cannot_be_told_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - it is no file
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments.split()) == 1
        full.flush()  # as Python does in the end
    line = "trio-http: cannot write to the standard output: No space left on device\n"
    assert capsys.readouterr().err == line


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--help")
    assert text.startswith("usage: trio-http ")
    for command in COMMANDS:
        assert re.search(rf"^    {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("challenge", "--directory DIR"),
        ("files", "DIR"),
        ("files", "--no-listing"),
        ("files", "--hidden"),
        ("files", "--follow-links"),
        ("files", "--writable"),
        ("files", "--precompressed"),
        ("files", "--charset NAME"),
        ("files", "--allow-remote-writes"),
        ("files", "--cache-control TEXT"),
        ("files", "--server-name NAME"),
        ("challenge", "--server-name NAME"),
        ("app", "MODULE:NAME"),
    ],
)
def test_help_of_a_command_tells_of_its_options(
    capsys: pytest.CaptureFixture[str], command: str, own: str
) -> None:
    text = told(capsys, command, "--help")
    assert text.startswith(f"usage: trio-http {command} ")
    common = ["--bind HOST:PORT", "--log-level ", "--workers N|auto", "--connections N"]
    for option in (*common, "--no-date ", "--no-plain ", own):
        assert re.search(rf"^  .*{re.escape(option)}", text, re.MULTILINE), option
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "None" not in text


# Files


def app_for(*arguments: str) -> App:
    """The App that the command would serve."""
    options = cli._parser().parse_args(arguments)
    app: App = options.app_of(options)
    return app


# Serving, within this process


FAILING = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def app():
    raise RuntimeError("no database")
    yield
"""


def test_app_that_cannot_start_is_a_failure_with_a_traceback(
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
    """The answers of a command that is asked once and then told to end."""
    answers = []

    async def ask(port: int) -> None:
        async with connected(port) as client:
            answers.append(await client.get("/"))
        signal.raise_signal(signal.SIGTERM)

    async def open_and_ask(*addresses: str) -> list[trio.SocketListener]:
        (listener,) = await open_listeners(*addresses)
        # Visitors are let in as soon as they are served, and that is after we return.
        trio.lowlevel.spawn_system_task(ask, listener.socket.getsockname()[1])
        return [listener]

    monkeypatch.setattr(running, "open_listeners", open_and_ask)
    assert main([*arguments, "--bind", "127.0.0.1:0"]) == 0
    return answers


@pytest.mark.parametrize(
    ("options", "lines", "dated"),
    [("", 6, True), ("--log-level info", 6, True), ("--log-level warning --no-date", 0, False)],
)
def test_options_are_heard(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: str,
    lines: int,
    dated: object,
) -> None:
    # No more connections than any machine has descriptors for, or that would be told.
    (answer,) = visit(monkeypatch, "challenge", "--connections", "9", *options.split())
    assert answer.status == 200
    assert ("Date" in answer.headers) is dated
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == lines


# The program itself


def started(
    *arguments: str, before: Sequence[str] = (), stderr: int = subprocess.PIPE
) -> AbstractAsyncContextManager[Program]:
    """Start the command on a free port of 127.0.0.1; leaving the block ends it."""
    command = [*before, sys.executable, "-m", "trio_http", *arguments, "--bind", "127.0.0.1:0"]
    return support.started(command, stderr=stderr)


async def begin_upload(client: Client) -> None:
    """Begin a request of ten bytes, and wait until it is being answered."""
    await client.send(
        b"POST /files/new HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    interim = await client.answer("HEAD")
    assert interim.status == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_program_drains_when_it_is_told_to_end(folder: Path, number: signal.Signals) -> None:
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
        answer = await client.answer()
        assert (answer.status, answer.headers["Connection"]) == (201, "close")
        await client.stream.aclose()
        assert await program.process.wait() == 0
        assert "Traceback" not in program.errors
    assert (folder / "new").read_bytes() == b"0123456789"


async def test_program_stops_at_once_when_it_is_told_twice(folder: Path) -> None:
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
    assert os.listdir(folder) == []  # noqa: PTH208 - nothing waits for it


@contextmanager
def watched(path: Path) -> Iterator[int]:
    """A file that nobody can open while nobody says that they may, as a virus scanner has it.

    What is given can be read when somebody tries. Not even SIGKILL is waited for
    longer in such a call than in one to a file system that hangs.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        scanner = libc.fanotify_init(FAN_CLASS_CONTENT, os.O_RDONLY)
        mark = libc.fanotify_mark
    except (OSError, AttributeError):
        scanner = -1
    if scanner < 0:
        pytest.skip("nobody can be kept from opening a file here")
    try:
        event = ctypes.c_uint64(FAN_OPEN_PERM)
        if mark(scanner, FAN_MARK_ADD, event, AT_FDCWD, os.fsencode(path)) != 0:
            pytest.skip("nobody can be kept from opening a file on this file system")
        yield scanner
    finally:
        os.close(scanner)


FAN_CLASS_CONTENT, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD = 0x4, 0x1, 0x10000, -100


async def test_program_ends_though_a_thread_hangs(folder: Path) -> None:
    for name in ("hanging", "other"):
        (folder / name).write_text(name)
    with watched(folder / "hanging") as scanner:
        async with (
            started("files", ".", "--writable") as program,
            connected(await program.port()) as client,
            connected(await program.port()) as another,
        ):
            await client.send(b"GET /hanging HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await trio.lowlevel.wait_readable(scanner)
            # It hangs, and nobody else is held up.
            assert (await another.get("/other", [LOCALHOST])).body == b"other"
            assert (await another.request("PUT", "/new", [LOCALHOST], b"x")).status == 201
            program.process.send_signal(signal.SIGTERM)
            await program.line_with("[SERVER STOPPING]")
            program.process.send_signal(signal.SIGTERM)
            with trio.fail_after(Timeouts().grace / 2):
                assert await program.process.wait() == 0
            assert "Traceback" not in program.errors


async def test_program_serves_files(folder: Path) -> None:
    (folder / "a file.txt").write_text("hello")
    async with (
        started("files", ".", "--no-date") as program,
        connected(await program.port()) as client,
    ):
        answer = await client.get("/a%20file.txt", [LOCALHOST])
        assert (answer.status, answer.body) == (200, b"hello")
        assert "Date" not in answer.headers


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"file": 4, "folder": None}),
        (["--hidden"], {"file": 4, "folder": None, ".hidden": 0}),
        (["--follow-links"], {"file": 4, "folder": None, "link": 4}),
        (
            ["--follow-links", "--hidden"],
            {"file": 4, "folder": None, ".hidden": 0, "link": 4},
        ),
        (["--no-listing", "--hidden"], None),
    ],
    ids=str,
)
async def test_what_is_listed_can_be_chosen(
    folder: Path, options: list[str], expected: dict[str, int | None] | None
) -> None:
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(b"four")
    (folder / ".hidden").touch()
    (folder / "link").symlink_to("file")
    async with open_client(app_for("files", ".", *options)) as client:
        answer = await client.get("/", [LOCALHOST, ("Accept", "application/json")])
        assert answer.status == (404 if expected is None else 200)
        if expected is not None:
            entries = loads(answer.body)["entries"]
            assert {entry["name"]: entry["size"] for entry in entries} == expected


async def test_files_can_be_made_writable_and_be_kept_for_a_while(folder: Path) -> None:
    async with open_client(app_for("files", ".")) as client:
        assert (await client.request("PUT", "/name", [LOCALHOST], b"data")).status == 405
    options = ["--writable", "--cache-control", "max-age=60", "--bind", "127.0.0.1:0"]
    async with open_client(app_for("files", ".", *options)) as client:
        assert (await client.request("PUT", "/name", [LOCALHOST], b"data")).status == 201
        assert (await client.get("/name", [LOCALHOST])).headers["Cache-Control"] == "max-age=60"
    assert (folder / "name").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("options", "taken", "refused"),
    [
        (["--bind", "localhost:0"], ["localhost", "[::1]:1"], ["test", "evil.example:4501", ""]),
        (["--bind", "[::1]:0", "--bind", "127.0.0.1:0"], ["localhost:1"], ["test"]),
        (["--server-name", "test"], ["test:80", "TEST", "localhost"], ["evil.example"]),
        (["--server-name", "a", "--server-name", "[::2]"], ["a", "[0::2]:1", "[::1]"], ["test"]),
        (["--bind", "0.0.0.0:0"], ["test", "evil.example", ""], []),
        (["--bind", "127.0.0.1:0", "--bind", ":0"], ["test"], []),
        (["--bind", ":0", "--server-name", "test"], ["test", "localhost"], ["evil.example"]),
    ],
    ids=str,
)
async def test_files_are_for_those_who_name_this_server(
    folder: Path, options: list[str], taken: list[str], refused: list[str]
) -> None:
    (folder / "name").write_bytes(b"data")
    async with open_client(app_for("files", ".", *options)) as client:
        for host in taken:
            assert (await client.get("/name", [("Host", host)])).body == b"data"
        for host in refused:
            assert (await client.get("/name", [("Host", host)])).status == 421


async def test_files_are_not_changed_under_a_name_of_somebody_elses(folder: Path) -> None:
    page = [("Host", "evil.example:4501"), ("Origin", "http://evil.example:4501")]
    options = ["--writable", "--bind", "localhost:0"]
    async with open_client(app_for("files", ".", *options)) as client:
        for method in ("PUT", "DELETE", "POST", "GET", "OPTIONS"):
            assert (await client.request(method, "/name", page)).status == 421
    assert not (folder / "name").exists()


@pytest.mark.parametrize(
    ("options", "fields", "status"),
    [
        # Programs may name any host: the challenge's own do.
        ([], [("Host", "evil.example")], 201),
        ([], [("Host", "evil.example"), ("Origin", "http://evil.example")], 421),
        ([], [("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")], 421),
        ([], [LOCALHOST, ("Origin", "http://localhost")], 201),
        ([], [LOCALHOST, ("Origin", "http://localhost:3000")], 403),
        (["--server-name", "test"], [("Host", "test"), ("Origin", "http://test")], 201),
        (["--bind", ":0"], [("Host", "test"), ("Origin", "http://test")], 201),
    ],
)
async def test_the_challenge_stores_nothing_for_a_page_of_somebody_elses(
    folder: Path, options: list[str], fields: list[tuple[str, str]], status: int
) -> None:
    arguments = ["challenge", "--directory", ".", *(options or ["--bind", "localhost:0"])]
    async with open_client(app_for(*arguments)) as client:
        answer = await client.request("POST", "/files/name", fields, b"data")
        assert answer.status == status
        assert (await client.get("/echo/abc", fields)).body == b"abc"
    assert (folder / "name").exists() is (status == 201)


async def test_siblings_are_sent_where_they_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompressed_siblings, "SETTLED", -1)
    (folder / "name").write_bytes(b"data")
    (folder / "name.gz").write_bytes(gzip.compress(b"data"))
    for options, coding in {(): None, ("--precompressed",): "gzip"}.items():
        async with open_client(app_for("files", ".", *options)) as client:
            answer = await client.get("/name", [LOCALHOST, ("Accept-Encoding", "gzip")])
            assert answer.headers.get("Content-Encoding") == coding


async def test_texts_can_be_sent_with_another_charset(folder: Path) -> None:
    (folder / "text.txt").write_bytes(b"text")
    for options, expected in {
        (): "text/plain; charset=utf-8",
        ("--charset", "koi8-r"): "text/plain; charset=koi8-r",
        ("--charset", "none"): "text/plain",
    }.items():
        async with open_client(app_for("files", ".", *options)) as client:
            assert (await client.get("/text.txt", [LOCALHOST])).headers["Content-Type"] == expected


async def test_program_serves_an_app_and_dates_its_answers(folder: Path) -> None:
    (folder / "module.py").write_text(
        "from trio_http import Response\nasync def app(request): return Response.text('hello')"
    )
    async with (
        started("app", "module:app") as program,
        connected(await program.port()) as client,
    ):
        answer = await client.get("/")
        assert (answer.status, answer.body) == (200, b"hello")
        assert "Date" in answer.headers


async def test_wrong_use_of_the_program_is_one_line_and_status_2() -> None:
    async with started("challenge", "--directory", "nowhere") as program:
        assert await program.process.wait() == 2
        await program.line_with("nowhere: No such file or directory")
        assert program.errors.count("\n") == 1


async def test_connections_can_be_limited(folder: Path) -> None:
    async with (
        started("challenge", "--directory", ".", "--connections", "1") as program,
        connected(await program.port()) as first,
        connected(await program.port()) as second,
    ):
        await begin_upload(first)
        await second.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await first.send(b"0123456789")
        assert (await first.answer()).status == 201
        await first.stream.aclose()
        assert (await second.answer()).status == 200
        program.process.terminate()
        await program.line_with("[SERVER STOPPED]")
        told = re.findall(r"\[(CONN|DISC|REC)", program.errors)
        assert told[:4] == ["CONN", "REC", "DISC", "CONN"]


@pytest.mark.skipif(not cli.CAN_HAVE_WORKERS, reason="this system has no limit on descriptors")
@pytest.mark.parametrize("options", ["", "--workers 2"])
async def test_connections_are_no_more_than_there_are_descriptors_for(
    folder: Path, options: str
) -> None:
    limited = ("sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")
    arguments = ("files", ".", "--connections", "1000", *options.split())
    async with started(*arguments, before=limited) as program, AsyncExitStack() as stack:
        port = await program.port()
        # Each stays, and those who have been silent for longest give way, also where
        # two processes share them.
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


def pids_named(folder: Path, word: str) -> set[str]:
    return {path.name.partition("-")[2] for path in folder.glob(f"{word}-*")}


@pytest.mark.skipif(not cli.CAN_HAVE_WORKERS, reason="this system cannot have workers")
async def test_each_worker_has_the_lifetime_of_the_app(folder: Path) -> None:
    (folder / "module.py").write_text(LASTING)
    async with started("app", "module:app", "--workers", "2") as program:
        for number in (1, 2):
            line = await program.line_with(f"[WORKER {number}] ")
            pid = re.search(r"pid (\d+) is listening", line)
            assert pid is not None
            assert pid[1] in pids_named(folder, "begun")
        assert not pids_named(folder, "over")
        program.process.terminate()
        await program.line_with("[SERVER STOPPED]")
    assert len(pids_named(folder, "begun")) == 2
    assert pids_named(folder, "begun") == pids_named(folder, "over")


def test_what_nobody_reads_any_more_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as errors:
        errors.write("to a terminal that has gone")
        os.close(reading)
        monkeypatch.setattr(sys, "stderr", errors)
        assert main(["app", "nowhere"]) == 2
        errors.flush()  # as Python does in the end


@pytest.fixture
def stuck() -> Iterator[tuple[io.FileIO, int]]:
    """Give both ends of a pipe that is read only now and then."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as errors:
        yield errors, writing


async def port_told_in(errors: io.FileIO) -> int:
    await trio.lowlevel.wait_readable(errors)
    line = errors.read(1000)
    assert b"[SERVER STARTED]" in line
    return int(line.rpartition(b":")[2])


async def ask_at_length(client: Client, times: int) -> None:
    """Ask for what has a line of 8 KB each in the log."""
    for _ in range(times):
        assert (await client.get("/" + "x" * 8000)).status == 404


async def test_log_that_nobody_reads_stops_no_client_and_no_signal(
    stuck: tuple[io.FileIO, int],
) -> None:
    errors, writing = stuck
    async with started("challenge", stderr=writing) as program:
        os.close(writing)
        async with connected(await port_told_in(errors)) as client:
            await ask_at_length(client, 20)  # more than a pipe takes
        program.process.terminate()
        assert await program.process.wait() == 0


async def test_lines_are_counted_that_nobody_has_read_in_time(
    stuck: tuple[io.FileIO, int],
) -> None:
    errors, writing = stuck
    times = log_writer.CAPACITY // 8000 + 50
    async with started("challenge", stderr=writing):
        os.close(writing)
        async with connected(await port_told_in(errors)) as client:
            await ask_at_length(client, times)
            seen = lost = 0
            rest = b""
            while seen + lost < times:
                await trio.lowlevel.wait_readable(errors)
                *lines, rest = (rest + errors.read(65536)).split(b"\n")
                for line in lines:
                    seen += b"xxxx HTTP/1.1 -> 404" in line
                    lost += int(line.split()[3]) if line.endswith(b" lost") else 0
                    if seen == 20 and not lost:
                        await ask_at_length(client, 1)  # there is room for its line again
    assert lost > 0


@pytest.mark.parametrize("missing", ["1", "2"])
async def test_without_a_standard_stream_files_do_not_take_its_number(
    folder: Path, missing: str
) -> None:
    (folder / "module.py").write_text(
        "with open('taken', 'w') as file: file.write(f'{file.fileno() > 2}')\n1 / 0"
    )
    redirected = ["sh", "-c", f'exec "$@" {missing}>&-', "sh"]
    async with started("app", "module:app", before=redirected) as program:
        assert await program.process.wait() == 2
    assert (folder / "taken").read_text() == "True"


def test_without_a_standard_error_errors_are_answered_and_all_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "module.py").write_text("async def app(request): raise RuntimeError('a mistake')")
    monkeypatch.setattr(sys, "stderr", None)
    answers = visit(monkeypatch, "app", "module:app")
    assert [answer.status for answer in answers] == [500]
