"""Tests of loading an app by the name of its module."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_http.command.loading import load_app
from trio_http.command.wrong_use import WrongUseError
from trio_http.testing import open_client


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to an empty directory, and forget the modules that a test imports from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (
            (
                "from trio_http import Router\n"
                "app = Router()\n"
                "@app.get('/')\n"
                "async def handler(request: Request): return Response.text('hello')"
            ),
            "module:app",
        ),
        ("async def handler(request: Request): return Response.text('hello')", "module:handler"),
        ("async def handler(*all: Request): return Response.text('hello')", "module:handler"),
        (
            "async def app(exchange: Exchange): await exchange.respond(Response.text('hello'))",
            "module:app",
        ),
        ("async def app(x: Exchange): await x.respond(Response.text('hello'))", "module:app"),
        (
            "async def app(x: 'Exchange') -> None: await x.respond(Response.text('hello'))",
            "module:app",
        ),
        (
            (
                "class App:\n"
                "    text = 'hello'\n"
                "    async def __call__(self, exchange: Exchange):\n"
                "        await exchange.respond(Response.text(self.text))\n"
                "    async def handler(self, request: Request):\n"
                "        return Response.text(self.text)\n"
                "app = App()"
            ),
            "module:app",
        ),
        (
            (
                "class Greeter:\n"
                "    async def answer(self, request: Request): return Response.text('hello')\n"
                "class things:\n"
                "    greeter = Greeter()"
            ),
            "module:things.greeter.answer",
        ),
        (
            (
                "from functools import partial\n"
                "async def greet(text, request: Request): return Response.text(text)\n"
                "handler = partial(greet, 'hello')"
            ),
            "module:handler",
        ),
    ],
)
async def test_app_of_each_kind_responds(directory: Path, source: str, name: str) -> None:
    (directory / "module.py").write_text(
        f"from trio_http import Exchange, Request, Response\n{source}\n"
    )
    async with open_client(load_app(name)) as client:
        answer = await client.get("/")
        assert (answer.status, answer.body) == (200, b"hello")


LIFETIME = """
from contextlib import asynccontextmanager
from trio_http import Request, Response, Router

@asynccontextmanager
async def make():
    app = Router()

    @app.get("/")
    async def handler(request: Request):
        return Response.text("hello")

    yield app

made = make()

class Prepared:
    async def __aenter__(self):
        return made

    async def __aexit__(self, *error):
        pass

prepared = Prepared()

class Greeter:
    text = "nothing"

    async def __aenter__(self):
        self.text = "hello"
        return self

    async def __aexit__(self, *error):
        pass

    async def __call__(self, request: Request):
        return Response.text(self.text)

greeter = Greeter()
"""


@pytest.mark.parametrize("name", ["make", "made", "prepared", "greeter"])
async def test_app_of_a_lifetime_responds(directory: Path, name: str) -> None:
    (directory / "module.py").write_text(LIFETIME)
    async with open_client(load_app(f"module:{name}")) as client:
        assert (await client.get("/")).body == b"hello"


async def test_function_makes_a_new_lifetime_for_each_server(directory: Path) -> None:
    (directory / "module.py").write_text(LIFETIME)
    for _ in range(2):
        async with open_client(load_app("module:make")) as client:
            assert (await client.get("/")).body == b"hello"


async def test_app_in_a_package_is_loaded(directory: Path) -> None:
    (directory / "package").mkdir()
    (directory / "package/module.py").write_text(
        "from trio_http import Request, Response\n"
        "async def app(request: Request): return Response.text(__name__)"
    )
    async with open_client(load_app("package.module:app")) as client:
        assert (await client.get("/")).body == b"package.module"


async def test_current_directory_is_searched_first(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "other").mkdir()
    monkeypatch.syspath_prepend(directory / "other")
    for place in (directory, directory / "other"):
        (place / "module.py").write_text(
            f"from trio_http import Request, Response\n"
            f"async def app(request: Request): return Response.text({str(place)!r})"
        )
    async with open_client(load_app("module:app")) as client:
        assert (await client.get("/")).body.decode() == str(directory)


@pytest.mark.parametrize(
    "source",
    [
        "async def hello(request): ...",
        "async def hello(exchange): ...",  # the name of a parameter declares nothing
        "async def hello(x: 'dict[str, Exchange]'): ...",  # nor does a part of an annotation
        "async def hello(x: Response): ...",
        "class Hello:\n async def __call__(self, request): ...\nhello = Hello()",
    ],
)
def test_undeclared_parameter_error_names_both_remedies(directory: Path, source: str) -> None:
    (directory / "module.py").write_text(f"from trio_http import Exchange, Response\n{source}\n")
    with pytest.raises(WrongUseError) as caught:
        load_app("module:hello")
    assert str(caught.value) == (
        "module:hello does not declare the type of its parameter: annotate it (request: Request "
        "for a handler, exchange: Exchange for an App), or serve app = answering(hello)"
    )


async def test_answering_accepts_a_handler_without_annotations(directory: Path) -> None:
    (directory / "module.py").write_text(
        "from trio_http import Response, answering\n"
        "async def hello(request): return Response.text('hello')\n"
        "app = answering(hello)\n"
    )
    async with open_client(load_app("module:app")) as client:
        assert (await client.get("/")).body == b"hello"


def test_annotation_without_runtime_name_is_wrong_use(directory: Path) -> None:
    (directory / "module.py").write_text("async def app(request: 'Request'): ...")
    with pytest.raises(WrongUseError) as caught:
        load_app("module:app")
    assert str(caught.value) == (
        "cannot resolve the annotations of module:app: NameError: name 'Request' is not defined; "
        "import their names at run time, not only under TYPE_CHECKING"
    )


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("", "module", "not a valid MODULE:NAME, such as hello:app"),
        ("", ":app", "not a valid MODULE:NAME, such as hello:app"),
        ("", "module:", "not a valid MODULE:NAME, such as hello:app"),
        ("", "missing:app", "ModuleNotFoundError"),
        ("", "module:app", "AttributeError"),
        ("1 / 0", "module:app", "module.py, line 1)"),
        ("import sys; sys.exit(3)", "module:app", "SystemExit"),
        ("def app(:", "module:app", "SyntaxError"),
        (
            "app = 3",
            "module:app",
            "must be a Router, an async function or an async context manager, not ",
        ),
        (
            "def app(request): pass",
            "module:app",
            "must be a Router, an async function or an async context manager, not ",
        ),
        ("async def app(): pass", "module:app", "must take exactly one argument: "),
        ("async def app(a, b): pass", "module:app", "must take exactly one argument: "),
        (
            "async def app(): yield",
            "module:app",
            "must be a Router, an async function or an async context manager, not ",
        ),
        ("class app:\n async def __aenter__(self): pass", "module:app", "must be a Router, "),
        (
            (
                "from contextlib import asynccontextmanager as lasting\n"
                "@lasting\n"
                "async def app(a): yield"
            ),
            "module:app",
            "must take no arguments: ",
        ),
        (
            "from functools import wraps\nasync def made(): yield\n@wraps(made)\ndef app(): pass",
            "module:app",
            "must be a Router, ",
        ),
    ],
)
def test_invalid_app_is_wrong_use_with_its_reason(
    directory: Path, source: str, name: str, said: str
) -> None:
    (directory / "module.py").write_text(f"{source}\n")
    with pytest.raises(WrongUseError, match=said.replace(")", r"\)")):
        load_app(name)
