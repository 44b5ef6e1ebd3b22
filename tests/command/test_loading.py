"""Apps of the user's own, found by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_http.command.loading import load_app
from trio_http.command.wrong_use import WrongUseError
from trio_http.testing import open_client


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a current folder of its own, and forget the modules that are imported from it."""
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
async def test_app_answers_whatever_kind_it_is_of(folder: Path, source: str, name: str) -> None:
    (folder / "module.py").write_text(
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
async def test_app_may_have_a_lifetime(folder: Path, name: str) -> None:
    (folder / "module.py").write_text(LIFETIME)
    async with open_client(load_app(f"module:{name}")) as client:
        assert (await client.get("/")).body == b"hello"


async def test_function_makes_a_lifetime_for_each_server(folder: Path) -> None:
    (folder / "module.py").write_text(LIFETIME)
    for _ in range(2):
        async with open_client(load_app("module:make")) as client:
            assert (await client.get("/")).body == b"hello"


async def test_app_may_be_in_a_module_of_a_package(folder: Path) -> None:
    (folder / "package").mkdir()
    (folder / "package/module.py").write_text(
        "from trio_http import Request, Response\n"
        "async def app(request: Request): return Response.text(__name__)"
    )
    async with open_client(load_app("package.module:app")) as client:
        assert (await client.get("/")).body == b"package.module"


async def test_current_folder_is_searched_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "other").mkdir()
    monkeypatch.syspath_prepend(folder / "other")
    for place in (folder, folder / "other"):
        (place / "module.py").write_text(
            f"from trio_http import Request, Response\n"
            f"async def app(request: Request): return Response.text({str(place)!r})"
        )
    async with open_client(load_app("module:app")) as client:
        assert (await client.get("/")).body.decode() == str(folder)


@pytest.mark.parametrize(
    "source",
    [
        "async def hello(request): ...",
        "async def hello(exchange): ...",  # a name declares nothing
        "async def hello(x: 'dict[str, Exchange]'): ...",  # nor does a word in a text
        "async def hello(x: Response): ...",
        "class Hello:\n async def __call__(self, request): ...\nhello = Hello()",
    ],
)
def test_undeclared_parameter_is_refused_with_both_ways_out(folder: Path, source: str) -> None:
    (folder / "module.py").write_text(f"from trio_http import Exchange, Response\n{source}\n")
    with pytest.raises(WrongUseError) as caught:
        load_app("module:hello")
    assert str(caught.value) == (
        "module:hello does not declare what it takes: annotate its parameter (request: Request "
        "for a handler, exchange: Exchange for an App), or serve app = answering(hello)"
    )


async def test_handler_without_annotations_is_served_by_answering(folder: Path) -> None:
    (folder / "module.py").write_text(
        "from trio_http import Response, answering\n"
        "async def hello(request): return Response.text('hello')\n"
        "app = answering(hello)\n"
    )
    async with open_client(load_app("module:app")) as client:
        assert (await client.get("/")).body == b"hello"


def test_annotation_that_is_only_for_type_checkers_is_refused(folder: Path) -> None:
    (folder / "module.py").write_text("async def app(request: 'Request'): ...")
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
def test_what_is_no_app_is_refused_with_its_reason(
    folder: Path, source: str, name: str, said: str
) -> None:
    (folder / "module.py").write_text(f"{source}\n")
    with pytest.raises(WrongUseError, match=said.replace(")", r"\)")):
        load_app(name)
