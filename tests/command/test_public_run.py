"""Tests of ``run``: its log, and how it ends."""

import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
import trio
import trio.testing
from support import CHECKOUT, connected, started

import trio_http
from trio_http import Limits, Request, Response, Router, Servable, Timeouts
from trio_http.command import single_process
from trio_http.serving.listeners import open_listeners

README = (CHECKOUT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("last_line", ['    run(app, "127.0.0.1:4222")', "trio.run(main)"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_readme_programs_without_a_traceback(
    last_line: str, number: signal.Signals
) -> None:
    (block,) = [block for block in BLOCKS if block.endswith(f"\n{last_line}\n")]
    source = "import sys; sys.stdout = sys.stderr\n" + block.replace(
        "127.0.0.1:4222", "127.0.0.1:0"
    )
    async with started([sys.executable, "-c", source]) as program:
        (port,) = await program.says(r"(?i)listening on 127.0.0.1:(\d+)")
        async with connected(int(port)) as client:
            assert (await client.get("/hello/ada")).body == b"hello, ada\n"
            program.signal(number)
            assert await client.rest() == b""  # draining closes idle connections
        assert await program.process.wait() == 0
        await program.all_ended.wait()
        assert "Traceback" not in program.errors


@pytest.fixture
def ended_at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Send SIGTERM as soon as the server listens; return the addresses that it opened."""
    asked: list[str] = []

    async def open_elsewhere(*addresses: str) -> list[trio.SocketListener]:
        asked.extend(addresses)
        trio.lowlevel.spawn_system_task(end)
        return await open_listeners("127.0.0.1:0")

    async def end() -> None:
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(single_process, "open_listeners", open_elsewhere)
    return asked


def test_run_listens_on_given_addresses_or_the_default(ended_at_once: list[str]) -> None:
    trio_http.run(Router(), "127.0.0.1:1", ":2")
    trio_http.run(Router())
    assert ended_at_once == ["127.0.0.1:1", ":2", "localhost:4221"]


@pytest.mark.usefixtures("ended_at_once")
def test_log_level_error_logs_no_connections(capsys: pytest.CaptureFixture[str]) -> None:
    trio_http.run(Router(), log_level="error")
    assert capsys.readouterr() == ("", "")


class Failing:
    """A lifetime that fails to begin."""

    async def __aenter__(self) -> Servable:
        raise RuntimeError("no database")

    async def __aexit__(self, *error: object) -> None:
        pass  # never called


def test_failure_is_logged_and_exits_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        trio_http.run(Failing(), "127.0.0.1:0")
    assert caught.value.code == 1
    assert "[SERVER FAILED] RuntimeError: no database\n" in capsys.readouterr().err


def test_start_timeout_of_zero_fails_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    @asynccontextmanager
    async def slow() -> AsyncIterator[Servable]:
        await trio.sleep(60)
        yield Router()

    with pytest.raises(SystemExit):
        trio_http.run(slow(), "127.0.0.1:0", timeouts=Timeouts(start=0), limits=Limits(head=1))
    assert "[SERVER FAILED] TooSlowError: the app did not start" in capsys.readouterr().err


def test_unavailable_address_raises_os_error() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}: "):
            trio_http.run(Router(), address)


def test_malformed_address_raises_value_error() -> None:
    with pytest.raises(ValueError, match="not a valid HOST:PORT"):
        trio_http.run(Router(), "nonsense")


def test_undeclared_handler_raises_type_error() -> None:
    async def hello(request) -> Response:  # type: ignore[no-untyped-def] # noqa: ANN001 - tested
        return Response()

    with pytest.raises(TypeError, match="hello does not declare the type of its parameter: "):
        trio_http.run(hello)


def test_handler_is_served(ended_at_once: list[str]) -> None:
    async def hello(request: Request) -> Response:
        return Response()

    trio_http.run(hello, ":1")
    assert ended_at_once == [":1"]
