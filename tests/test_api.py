"""Tests of the public API: its names, its signatures, and the examples of the README."""

import ast
import contextlib
import hashlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from support import CHECKOUT

import trio_http
from trio_http import (
    App,
    Cookie,
    Exchange,
    FormField,
    Handler,
    HTTPError,
    Parameters,
    Pulse,
    Request,
    Response,
    Router,
    Send,
    SendEvent,
    Server,
    ServerSentEvent,
    Stream,
    answering,
    files,
    open_listeners,
    run,
    serve,
    serve_stream,
)
from trio_http.testing import Client, open_client

PUBLIC = [name for name in dir(trio_http) if name != "__version__"]
README = CHECKOUT / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def test_public_names_exist_and_no_others() -> None:
    assert all(hasattr(trio_http, name) for name in dir(trio_http))
    assert {"Router", "__version__", "serve"} < set(dir(trio_http))
    everything: dict[str, object] = {}
    exec("from trio_http import *", everything)  # noqa: S102 - as users write it
    assert sorted(everything.keys() - {"__builtins__"}) == PUBLIC
    with pytest.raises(AttributeError, match="'trio_http' has no attribute 'surve'"):
        getattr(trio_http, "surve")  # noqa: B009 - mypy knows that it does not exist


def test_public_names_equal_those_of_the_stub() -> None:
    # Type checkers treat a name of a stub as private unless it is imported "as" itself.
    stub = ast.parse(Path(trio_http.__file__).with_suffix(".pyi").read_text())
    imported = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = [alias for node in imported for alias in node.names]
    assert all(alias.asname == alias.name for alias in names)
    assert sorted(alias.name for alias in names) == PUBLIC


def test_public_names_can_be_imported_from_a_zip_file(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "all"), "zip", CHECKOUT, "trio_http")
    code = "import trio_http; print(trio_http.__file__, trio_http.HTTPError(404).status)"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "all.zip")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == f"{tmp_path}/all.zip/trio_http/__init__.py 404\n"


def test_modules_do_not_shadow_public_names() -> None:
    # Loading a module sets it as an attribute of its package.
    rooms = {room.name for room in pkgutil.iter_modules(trio_http.__path__)}
    assert "testing" in rooms
    assert rooms.isdisjoint(PUBLIC)


@pytest.mark.parametrize(
    ("program", "loaded"),
    [
        ("import trio_http; trio_http.__version__", []),
        ("from trio_http import HTTPError, Limits", []),
        ("from trio_http import serve_stream", ["h11", "trio"]),
        ("from trio_http import *; Router, Timeouts", ["h11", "trio"]),
    ],
)
def test_unused_libraries_are_not_loaded(program: str, loaded: list[str]) -> None:
    program = f"{program}; import sys; print(*sorted({{'h11', 'trio'}} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout.split() == loaded


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_docstrings(name: str) -> None:
    value = getattr(trio_http, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)
        assert value.__module__.startswith("trio_http.")


def test_version_has_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", trio_http.__version__)


def shape(function: Callable[..., Any]) -> str:
    """Return a signature without types and defaults."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.default if parameter.default is parameter.empty else ...,
        )
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters)).replace("Ellipsis", "...")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            serve,
            (
                "(app, listeners, *, timeouts=..., limits=..., behavior=..., report=..., "
                "task_status=...)"
            ),
        ),
        (
            serve_stream,
            "(app, stream, *, timeouts=..., limits=..., behavior=..., report=..., client=...)",
        ),
        (run, "(app, *binds, timeouts=..., limits=..., behavior=..., log_level=...)"),
        (open_listeners, "(*addresses)"),
        (
            files,
            (
                "(root, *, media_type=..., compress=..., charset=..., cache_control=..., "
                "allow=..., durability=...)"
            ),
        ),
        (answering, "(handler)"),
        (open_client, "(app, *, timeouts=..., limits=..., behavior=..., report=...)"),
        (Client.request, "(self, method, target, headers=..., body=..., *, json=...)"),
        (Client.open, "(self, method, target, headers=..., body=..., *, json=...)"),
        (Client.get, "(self, target, headers=...)"),
        (Client.post, "(self, target, headers=..., body=..., *, json=...)"),
        (Request.read, "(self, limit=...)"),
        (Request.text, "(self, limit=...)"),
        (Request.json, "(self, limit=...)"),
        (Request.form, "(self)"),
        (Response, "(status=..., headers=..., body=..., compress=..., trailers=...)"),
        (Response.text, "(text, status=..., *, headers=..., media_type=..., compress=...)"),
        (Response.html, "(markup, status=..., *, headers=...)"),
        (Response.json, "(value, status=..., *, headers=...)"),
        (Response.redirect, "(location, status=..., *, headers=...)"),
        (Response.events, "(produce, keep_alive=..., *, headers=...)"),
        (Response.with_cookie, "(self, cookie)"),
        (Response.with_header, "(self, name, value)"),
        (Stream, "(produce, length=..., pulse=...)"),
        (Pulse, "(seconds, data)"),
        (
            Cookie,
            "(name, value, max_age=..., path=..., domain=..., flags=..., same_site=...)",
        ),
        (ServerSentEvent, "(data, event=..., id=..., retry=...)"),
        (FormField.read, "(self, limit=...)"),
        (FormField.text, "(self, limit=...)"),
        (Parameters.get, "(self, name, default=...)"),
        (Parameters.all, "(self, name)"),
        (HTTPError, "(status, detail=..., headers=...)"),
        (Exchange.respond, "(self, response)"),
        (Exchange.inform, "(self, status, headers=...)"),
        (Server.shutdown, "(self)"),
        (Router, "()"),
        (Router.route, "(self, method, path)"),
        (Router.get, "(self, path)"),
        (Router.mount, "(self, prefix, app, *, methods=...)"),
    ],
)
def test_signature_is_unchanged(function: Callable[..., Any], expected: str) -> None:
    assert shape(function) == expected


@pytest.mark.parametrize(
    ("response", "status", "content_type", "body"),
    [
        (Response(), 200, None, b""),
        (Response.text("caf\xe9"), 200, "text/plain; charset=utf-8", b"caf\xc3\xa9"),
        (Response.text("a", 404, media_type="text/css"), 404, "text/css", b"a"),
        (Response.html("<p>"), 200, "text/html; charset=utf-8", b"<p>"),
        (Response.json({"a": [1, None]}), 200, "application/json", b'{"a":[1,null]}'),
        (Response.redirect("/there"), 303, None, b""),
    ],
)
def test_response_is_made_in_one_call(
    response: Response, status: int, content_type: str | None, body: bytes
) -> None:
    assert response.status == status
    assert response.headers.get("Content-Type") == content_type
    assert response.body == body


async def test_documented_types_accept_a_users_code(autojump_clock: trio.testing.MockClock) -> None:
    # mypy checks this as much as running it does.
    typed = Router()

    async def handler(request: Request) -> Response:
        async def produce(send: Send) -> None:
            async for chunk in request.body:
                await send(chunk.upper())

        return Response(200, {"Content-Type": "text/plain"}, Stream(produce))

    async def app(exchange: Exchange) -> None:
        await lifted(exchange)

    @typed.get("/numbers/{number:int}")
    async def numbers(request: Request, number: int) -> Response:
        async def produce(send: SendEvent) -> None:
            for each in request.query.all("say"):
                await send(ServerSentEvent(each, id=str(number)))

        return Response.events(produce).with_cookie(Cookie("seen", "yes", max_age=60))

    kept: Handler = handler
    lifted: App = answering(kept)
    async with open_client(app) as client:
        assert (await client.request("POST", "/", body=b"shout")).body == b"SHOUT"
    async with open_client(typed) as client:
        answer = await client.get("/numbers/7?say=a&say=b")
        assert answer.body == b"id: 7\ndata: a\n\nid: 7\ndata: b\n\n"
        assert answer.headers["Set-Cookie"].startswith("seen=yes; ")


# The README


def test_readme_contains_programs() -> None:
    assert sum("async def main" in block for block in BLOCKS) == 1


@pytest.mark.parametrize("block", BLOCKS)
def test_readme_uses_only_public_names(block: str) -> None:
    imported = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imported if (node.module or "").split(".")[0] == "trio_http"]
    assert ours
    for node in ours:
        assert node.module in {"trio_http", "trio_http.testing"}
        exec(compile(ast.Module([node], []), "README.md", "exec"), {})  # noqa: S102 - our code
        if node.module == "trio_http":
            assert {name.name for name in node.names} <= set(PUBLIC)


def defined_by(text: str) -> dict[str, Any]:
    """Return the names that the block of the README with this text defines."""
    (block,) = [block for block in BLOCKS if text in block]
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - our code
    return names


async def test_readme_handlers_respond(autojump_clock: trio.testing.MockClock) -> None:
    async with open_client(defined_by("{id:int}")["app"]) as client:
        answer = await client.get("/articles/7?page=2", {"Cookie": "seen=yes"})
        assert answer.body == b'{"id":7,"page":"2","seen":"yes"}'
        assert answer.headers["Set-Cookie"].startswith("seen=yes; Max-Age=3600")
        media_type = {"Content-Type": "application/json"}
        answer = await client.request("POST", "/articles", media_type, b'{"id": 8}')
        assert (answer.status, answer.headers["Location"]) == (303, "/articles/8")
        media_type = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.request("POST", "/pictures", media_type, b"a=123&b=")
        assert answer.body == b'{"a":3,"b":0}'
        await client.send(b"GET /clock HTTP/1.0\r\n\r\n")
        received = b""
        while received.count(b"event: tick\n") < 3:
            received += await client.stream.receive_some()
    assert trio.current_time() == 2


class Pool:
    """Stands in for a database pool; its prices rise with each query."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_open = False

    @contextlib.asynccontextmanager
    async def open(self, name: str) -> AsyncIterator["Pool"]:
        assert name.startswith("postgresql:")
        self.is_open = True
        yield self
        self.is_open = False

    async def fetch(self, query: str) -> list[tuple[str, int]]:
        assert query.startswith("SELECT name, price ")
        self.looks += 1
        return [("tea", self.looks)]


async def test_readme_app_has_a_pool_and_a_background_task(
    autojump_clock: trio.testing.MockClock,
) -> None:
    names, pool = defined_by("open_pool"), Pool()
    names["open_pool"] = pool.open
    async with open_client(names["shop"]()) as client:
        assert pool.is_open
        assert (await client.get("/prices/tea")).body == b"1"
        await trio.sleep(61)
        assert (await client.get("/prices/tea")).body == b"2"
    assert not pool.is_open


async def test_readme_tests_pass(autojump_clock: trio.testing.MockClock) -> None:
    names = defined_by("async def test_clock")
    tests = [names[name] for name in names if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        clock = [autojump_clock] if inspect.signature(test).parameters else []
        await test(*clock)


async def test_readme_app_sends_early_hints_and_a_digest() -> None:
    async with open_client(defined_by("trailers=")["report"]) as client:
        assert (await client.get("/", {"TE": "trailers"})).status == 103
        answer = await client.response()
    assert answer.trailers["X-Sum"] == hashlib.sha256(answer.body).hexdigest()


async def test_readme_program_serves(
    capsys: pytest.CaptureFixture[str], nursery: trio.Nursery
) -> None:
    (program,) = [block for block in BLOCKS if "async def main" in block]
    definitions, start, rest = program.partition("\ntrio.run(main)\n")
    assert start
    assert rest == ""
    opened: list[trio.SocketListener] = []

    async def open_anywhere(*addresses: str) -> list[trio.SocketListener]:
        assert addresses
        opened.extend(await open_listeners("127.0.0.1:0"))
        return opened

    names: dict[str, Any] = {}
    exec(compile(definitions, "README.md", "exec"), names)  # noqa: S102 - our code
    assert names["open_listeners"] is open_listeners
    names["open_listeners"] = open_anywhere
    nursery.start_soon(names["main"])
    await trio.testing.wait_all_tasks_blocked()
    host, port = opened[0].socket.getsockname()
    assert f"{host}:{port}" in capsys.readouterr().out
    async with await trio.open_tcp_stream(host, port) as stream:
        answer = await Client(stream).get("/hello/ada")
    assert answer.body == b"hello, ada\n"
