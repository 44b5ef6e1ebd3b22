"""Tests of the architecture: packages are layers, and imports point down or sideways, never up.

Each rule (a law) is a function from modules to complaints. The laws are first tried on small
sources that break them, and then applied to the package itself.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path
from typing import TypeAlias

import pytest

HOUSE = "trio_http"
ROOT = Path(__file__).parent.parent / HOUSE

# The layer of each package; modules outside of packages are at the top.
FLOORS = {
    "semantics": 1,
    "transport": 2,
    "http1": 3,
    "websocket": 4,
    "serving": 4,
    "observe": 5,
    "apps": 6,
    "file_server": 6,
    "workshop": 7,
    "command": 8,
    "examples": 8,
    "testing": 8,
    "": 8,
}
TOP = 8

# The origins of bytes, files, tasks and threads. RFC 9110 is about values.
DOES_IO = {"asyncio", "io", "os", "pathlib", "select", "selectors", "shutil", "socket", "ssl"}
DOES_IO |= {"subprocess", "tempfile", "threading"}

# Names with which a program is started, configured and stopped.
STARTS_PROGRAMS = {"argparse", "click", "getopt", "optparse", "signal"}
READS_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "argv"}
GETS_SIGNALS = {"open_signal_receiver"}

# Public although its name has an underscore: the standard library documents it.
DOCUMENTED = {"os._exit"}

NO_ROOMS = {"utils", "util", "base", "helpers", "helper", "common", "config", "manager"}
LONGEST = 310  # lines: "none over about 300"


@cache
def nodes_of(source: str) -> Sequence[ast.AST]:
    """Parse a module once for all laws."""
    return tuple(ast.walk(ast.parse(source)))


@dataclass(frozen=True, slots=True)
class Module:
    """A module's full name and its source."""

    name: str
    source: str
    is_package: bool = False

    @property
    def package(self) -> str:
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @property
    def folder(self) -> str:
        return self.package.removeprefix(HOUSE).strip(".").partition(".")[0]

    @property
    def is_example(self) -> bool:
        """Return whether newcomers read the module to learn how the package is used."""
        return self.folder == "examples" or self.name == f"{HOUSE}.apps.challenge"

    @property
    def floor(self) -> int:
        if self.is_example:
            return TOP  # it imports what users import
        return FLOORS.get(self.folder, 0)  # a package without a layer is below all others

    def nodes(self) -> Sequence[ast.AST]:
        return nodes_of(self.source)

    def imports(self) -> Iterator[tuple[str, str]]:
        """Yield the origin and the name of each import; the name is empty for a whole module."""
        for node in self.nodes():
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, ""
            elif isinstance(node, ast.ImportFrom):
                origin = resolve_name("." * node.level + (node.module or ""), self.package)
                for alias in node.names:
                    yield origin, alias.name

    def imported_names(self) -> set[str]:
        """Return the local names of all imports."""
        return {
            (alias.asname or alias.name).partition(".")[0]
            for node in self.nodes()
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }


House: TypeAlias = dict[str, Module]
Law: TypeAlias = Callable[[House], Iterator[str]]


def house_of(*modules: Module) -> House:
    return {module.name: module for module in modules}


def needed(module: Module, house: House) -> set[str]:
    """Return the modules that a module imports, inside and outside of the package."""
    found = set()
    for origin, name in module.imports():
        inner = f"{origin}.{name}"
        found.add(inner if inner in house else origin)
    return found


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def every_package_is_a_layer(house: House) -> Iterator[str]:
    for module in house.values():
        if module.floor == 0:
            yield f"{module.name} is in no layer"


def imports_never_point_up(house: House) -> Iterator[str]:
    for module in house.values():
        for name in needed(module, house):
            if not is_in(name, HOUSE):
                continue
            if name not in house:
                yield f"{module.name} imports {name}, which does not exist"
            elif house[name].floor > module.floor:
                yield f"{module.name} imports {name}, which is above it"


def apps_know_no_server(house: House) -> Iterator[str]:
    for module in house.values():
        for name in needed(module, house):
            if module.folder in {"apps", "file_server"} and is_in(name, f"{HOUSE}.serving"):
                yield f"{module.name} imports {name}"


# The modules of http1 for apps: their exchange, their lifetime, errors of handlers, the
# connection as a whole, and the events that it reports.
SEEN_BY_APPS = {"exchange", "app_lifetime", "handler_errors", "connection", "server_events"}


def apps_import_only_the_public_modules_of_http1(house: House) -> Iterator[str]:
    inside = f"{HOUSE}.http1."
    for module in house.values():
        for name in needed(module, house):
            is_app = module.folder in {"apps", "file_server"}
            if is_app and name.startswith(inside) and name.split(".")[2] not in SEEN_BY_APPS:
                yield f"{module.name} imports {name}"


# The names that ``from trio_http import …`` provides, and the module for tests.
PUBLIC = {
    alias.name
    for node in ast.parse((ROOT / "__init__.pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
PUBLIC_MODULES = {HOUSE, f"{HOUSE}.testing"}


def examples_use_public_names_only(house: House) -> Iterator[str]:
    for module in house.values():
        if not module.is_example:
            continue
        for origin, name in module.imports():
            if is_in(origin, HOUSE) and (
                origin not in PUBLIC_MODULES or (origin == HOUSE and name and name not in PUBLIC)
            ):
                yield f"{module.name} imports {name or origin} from {origin}"


def semantics_is_pure(house: House) -> Iterator[str]:
    for module in house.values():
        if module.folder != "semantics":
            continue
        for name in needed(module, house):
            if name.partition(".")[0] in {"trio", "h11", *DOES_IO}:
                yield f"{module.name} imports {name}"
        for node in module.nodes():
            match node:
                case ast.Call(func=ast.Name(id=("open" | "print" | "input") as name)):
                    yield f"{module.name} calls {name}"


def only_http1_speaks_h11(house: House) -> Iterator[str]:
    for module in house.values():
        for name in needed(module, house):
            if module.folder != "http1" and is_in(name, "h11"):
                yield f"{module.name} imports {name}"


def only_the_top_starts_programs(house: House) -> Iterator[str]:
    elsewhere = READS_ENVIRONMENT | GETS_SIGNALS
    for module in house.values():
        if module.floor == TOP:
            continue
        for origin, name in module.imports():
            if origin.partition(".")[0] in STARTS_PROGRAMS or name in elsewhere:
                yield f"{module.name} imports {name or origin}"
        for node in module.nodes():
            if isinstance(node, ast.Attribute) and node.attr in elsewhere:
                yield f"{module.name} uses {node.attr}"


def imports_have_no_cycles(house: House) -> Iterator[str]:
    try:
        TopologicalSorter({name: needed(house[name], house) for name in house}).prepare()
    except CycleError as error:
        yield " -> ".join(error.args[1])


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def private_names_stay_in_their_module(house: House) -> Iterator[str]:
    for module in house.values():
        for origin, name in module.imports():
            if any(map(is_private, [*origin.split("."), name])):
                yield f"{module.name} imports {name} from {origin}"
        foreign = module.imported_names()
        for node in module.nodes():
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                owner = node.value
                while isinstance(owner, ast.Attribute):
                    owner = owner.value
                is_foreign = isinstance(owner, ast.Name) and owner.id in foreign
                if is_foreign and ast.unparse(node) not in DOCUMENTED:
                    yield f"{module.name} uses {ast.unparse(node)}"


def modules_are_named_after_ideas(house: House) -> Iterator[str]:
    for name in house:
        if NO_ROOMS.intersection(name.split(".")):
            yield f"{name} could hold anything"


def modules_are_short(house: House) -> Iterator[str]:
    for module in house.values():
        lines = len(module.source.splitlines())
        if lines > LONGEST:
            yield f"{module.name} has {lines} lines"


# CPython matches these wrongly: possessive groups up to 3.11.4 (gh-106052), and possessive
# groups with captures in them up to 3.13.0 and later (gh-101955). A possessive class is
# correct, and ``()*+`` is a list of characters (RFC 3986 2.2).
UNSOUND = re.compile(r"(?<![\\(])(?:\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>)")


def no_expression_repeats_groups_possessively(house: House) -> Iterator[str]:
    for module in house.values():
        for node in module.nodes():
            if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if found := UNSOUND.search(text):
                    yield f"{module.name} has {found[0]} in line {node.lineno}"


# Newcomers copy the examples, and ``main`` is the command.
FREELY_NAMED = ("trio_http.examples", "trio_http.__main__")


@cache
def words_of(source: str) -> frozenset[str]:
    """Return the names that a module mentions, also in strings such as those for setattr."""
    words = set()
    for node in nodes_of(source):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                words.add(word)
            case ast.Constant(value=str(text)) if text.isidentifier():
                words.add(text)
    return frozenset(words)


@cache
def words_outside() -> frozenset[str]:
    """Return the names that the tests and the stub of the package mention."""
    files = [*Path(__file__).parent.rglob("*.py"), *ROOT.glob("*.pyi")]
    return frozenset().union(*[words_of(file.read_text("utf-8")) for file in files])


def defined_names(module: Module) -> Iterator[str]:
    """Yield the names that a module defines at its top level, except types of its signatures."""
    annotations = [
        annotation
        for node in module.nodes()
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
    ]
    types = {word for each in annotations for word in re.findall(r"\w+", ast.unparse(each))}
    for node in ast.parse(module.source).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = {node.name}
            case ast.Assign():
                found = [part for target in node.targets for part in ast.walk(target)]
                names = {part.id for part in found if isinstance(part, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = {name}
            case _:
                names = set()
        yield from names - types


def unused_names_are_private(house: House) -> Iterator[str]:
    for module in house.values():
        if any(is_in(module.name, name) for name in FREELY_NAMED):
            continue
        others = [words_of(other.source) for other in house.values() if other is not module]
        used = words_outside().union(*others)
        for name in defined_names(module):
            if not name.startswith("_") and name not in used:
                yield f"{module.name} alone uses {name}"


def public_attributes_have_types(house: House) -> Iterator[str]:
    """Yield attributes without types, as ``pyright --verifytypes`` reports: inference may vary."""
    for module in house.values():
        for node in module.nodes():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for name in untyped_attributes(node):
                    yield f"{module.name}: {node.name}.{name} has no type"


def untyped_attributes(node: ast.ClassDef) -> Iterator[str]:
    typed = {
        part.target.id
        for part in node.body
        if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            targets = [
                target
                for part in ast.walk(method)
                if isinstance(part, ast.Assign)
                for target in part.targets
            ]
            for target in targets:
                match target:
                    case ast.Attribute(value=ast.Name(id="self"), attr=name):
                        if not name.startswith("_") and name not in typed:
                            yield name


LAWS: list[Law] = [
    every_package_is_a_layer,
    imports_never_point_up,
    apps_know_no_server,
    apps_import_only_the_public_modules_of_http1,
    examples_use_public_names_only,
    semantics_is_pure,
    only_http1_speaks_h11,
    only_the_top_starts_programs,
    imports_have_no_cycles,
    private_names_stay_in_their_module,
    modules_are_named_after_ideas,
    modules_are_short,
    no_expression_repeats_groups_possessively,
    unused_names_are_private,
    public_attributes_have_types,
]


# The laws themselves

# A module on each layer, which others can import.
SMALL_HOUSE = [
    Module("trio_http", "from trio_http.serving.server import serve", is_package=True),
    Module("trio_http.command.cli", "from trio_http import serve"),
    Module("trio_http.command", "", is_package=True),
    Module("trio_http.file_server", "", is_package=True),
    Module("trio_http.apps", "", is_package=True),
    Module("trio_http.file_server.app", "import trio"),
    Module("trio_http.serving", "", is_package=True),
    Module("trio_http.serving.server", "import trio"),
    Module("trio_http.http1", "", is_package=True),
    Module("trio_http.http1.message_io", "import h11, trio"),
    Module("trio_http.http1.exchange", "import trio"),
    Module("trio_http.semantics", "", is_package=True),
    Module("trio_http.semantics.headers", "import re"),
]


def room(folder: str, source: str) -> Module:
    return Module(f"trio_http.{folder}.room".replace("..", "."), source)


@pytest.mark.parametrize("law", LAWS)
def test_correct_package_keeps_every_law(law: Law) -> None:
    assert list(law(house_of(*SMALL_HOUSE))) == []


@pytest.mark.parametrize(
    ("law", "module"),
    [
        (every_package_is_a_layer, room("cellar", "")),
        (every_package_is_a_layer, Module("trio_http.cellar", "", is_package=True)),
        (imports_never_point_up, room("semantics", "import trio_http.http1.message_io")),
        (imports_never_point_up, room("semantics", "import re, trio_http.http1.codec as codec")),
        (imports_never_point_up, room("semantics", "from trio_http.http1 import message_io")),
        (imports_never_point_up, room("semantics", "from ..http1.message_io import Wire")),
        (imports_never_point_up, room("http1", "from trio_http.serving.server import serve")),
        (imports_never_point_up, room("serving", "from trio_http.file_server.app import files")),
        (imports_never_point_up, room("apps", "from trio_http.command.cli import main")),
        (imports_never_point_up, room("apps", "from trio_http import serve")),
        (imports_never_point_up, room("apps", "import trio_http")),
        (imports_never_point_up, room("apps", "from ..command import cli")),
        # Wherever the import is.
        (imports_never_point_up, room("apps", "def f():\n    import trio_http.command.cli")),
        (imports_never_point_up, room("apps", "if TYPE_CHECKING:\n    from ..command import cli")),
        (imports_never_point_up, room("apps", "from trio_http.apps.nowhere import x")),
        (apps_know_no_server, room("apps", "from trio_http.serving.server import serve")),
        (apps_know_no_server, room("apps", "from trio_http import serving")),
        (
            apps_import_only_the_public_modules_of_http1,
            room("apps", "from trio_http.http1.message_io import Wire"),
        ),
        (
            apps_import_only_the_public_modules_of_http1,
            room("file_server", "from ..http1 import exchange, message_io"),
        ),
        (examples_use_public_names_only, room("examples", "import trio_http.http1.message_io")),
        (examples_use_public_names_only, room("examples", "from trio_http.apps.routing import x")),
        (examples_use_public_names_only, room("examples", "from .room import x")),
        (examples_use_public_names_only, room("examples", "from trio_http import routing")),
        (
            examples_use_public_names_only,
            Module("trio_http.apps.challenge", "from ..file_server.app import files"),
        ),
        (semantics_is_pure, room("semantics", "import trio")),
        (semantics_is_pure, room("semantics", "from trio.abc import Stream")),
        (semantics_is_pure, room("semantics", "import h11")),
        (semantics_is_pure, room("semantics", "import socket")),
        (semantics_is_pure, room("semantics", "import os.path")),
        (semantics_is_pure, room("semantics", "data = open('x').read()")),
        (only_http1_speaks_h11, room("semantics", "import h11")),
        (only_http1_speaks_h11, room("apps", "from h11 import Request")),
        (only_http1_speaks_h11, room("", "import h11")),
        (only_the_top_starts_programs, room("apps", "import argparse")),
        (only_the_top_starts_programs, room("apps", "import click")),
        (only_the_top_starts_programs, room("serving", "from signal import SIGTERM")),
        (only_the_top_starts_programs, room("serving", "import os\nos.environ['A']")),
        (only_the_top_starts_programs, room("serving", "import os as o\no.getenv('A')")),
        (only_the_top_starts_programs, room("serving", "from os import environ as e")),
        (only_the_top_starts_programs, room("http1", "import sys\nprint(sys.argv)")),
        (only_the_top_starts_programs, room("serving", "trio.open_signal_receiver()")),
        (imports_have_no_cycles, room("apps", "import trio_http.apps.room")),
        (imports_have_no_cycles, Module("trio_http.serving.server", "from ..command import cli")),
        (imports_have_no_cycles, Module("trio_http.serving.server", "from trio_http import x")),
        (private_names_stay_in_their_module, room("apps", "from x import _y")),
        (private_names_stay_in_their_module, room("apps", "from x import _y as y")),
        (private_names_stay_in_their_module, room("apps", "import trio._core")),
        (private_names_stay_in_their_module, room("apps", "from trio import _core")),
        (private_names_stay_in_their_module, room("apps", "from trio._core import run")),
        (private_names_stay_in_their_module, room("apps", "import h11\nh11._state.DONE")),
        (private_names_stay_in_their_module, room("apps", "import x.y\nx.y._z()")),
        (private_names_stay_in_their_module, room("apps", "from x import Y as Z\nZ._make()")),
        (modules_are_named_after_ideas, Module("trio_http.http1.utils", "")),
        (modules_are_named_after_ideas, Module("trio_http.config", "")),
        (modules_are_named_after_ideas, Module("trio_http.common.fields", "")),
        (modules_are_short, room("apps", "x = 1\n" * (LONGEST + 1))),
        (no_expression_repeats_groups_possessively, room("http1", "X = rb'(?:ab?c)*+'")),
        (no_expression_repeats_groups_possessively, room("http1", "X = r'(a|(b))++'")),
        (no_expression_repeats_groups_possessively, room("http1", "X = 'a(b)?+'")),
        (no_expression_repeats_groups_possessively, room("http1", "X = b'(a)(b){2,3}+'")),
        (no_expression_repeats_groups_possessively, room("http1", "X = f'(?>(?:{Y})*)'")),
        (unused_names_are_private, room("apps", "def count_the_sheep(): pass")),
        (unused_names_are_private, room("apps", "class FlockOfSheep: pass")),
        (unused_names_are_private, room("apps", "A_SHEEP, _TWO = 1, 2\nprint(A_SHEEP)")),
        (unused_names_are_private, room("apps", "A_SHEEP: int = 1")),
        (
            public_attributes_have_types,
            room("apps", "class Router:\n  def __init__(self):\n    self._a = self.b = 1"),
        ),
    ],
)
def test_law_reports_a_module_that_breaks_it(law: Law, module: Module) -> None:
    complaints = list(law(house_of(*SMALL_HOUSE, module)))
    assert any(module.name in complaint for complaint in complaints)


@pytest.mark.parametrize(
    "module",
    [
        room("", "import argparse, os, signal\nos.environ\nfrom trio_http.file_server import app"),
        room("command", "import os\nos.environ\nfrom trio_http.command.cli import main"),
        room(
            "apps",
            "from trio_http.file_server import app\nfrom trio_http.file_server.app import files",
        ),
        room("file_server", "from . import app\nfrom .app import x\nfrom ..http1 import exchange"),
        room("serving", "from trio_http.http1.message_io import Wire\nimport os\nos.listdir"),
        room("examples", "import trio, trio_http\nfrom trio_http import Router, serve"),
        Module("trio_http.apps.challenge", "from trio_http import Request, files"),
        room("semantics", "import re\nfrom trio_http.semantics.headers import Headers\nre.open()"),
        room("apps", "import x\nfrom __future__ import annotations\nx.__name__\nself._own = 1"),
        room("apps", "import os\nos._exit(1)"),
        room("apps", "x = 1\n" * LONGEST),
        room("http1", "X = rb'[a-z]*+[0-9]{2}+x++[()*+,]\\)++(?:ab?c)+(a)?'"),
        Module("trio_http.apps.database", ""),  # only whole names count
        room("apps", "def _count_the_sheep(sheep: FlockOfSheep): pass\nclass FlockOfSheep: pass"),
        room("apps", "def serve(): pass\nCHECKOUT = 1"),  # a test mentions both
        room("examples", "def count_the_sheep(): pass"),
        room("apps", "class _A:\n  def __init__(self):\n    self.b = 1"),
        room(
            "apps",
            "class Router:\n"
            "  a: int\n"
            "  def __init__(self, other):\n"
            "    self.a = self._b = other.c = 1\n"
            "    self.d: int = 1\n"
            "  def change(self):\n"
            "    self.d = 2",
        ),
    ],
)
def test_allowed_module_is_not_reported(module: Module) -> None:
    house = house_of(*SMALL_HOUSE, module)
    assert [complaint for law in LAWS for complaint in law(house)] == []


# The package itself


def house_as_it_stands() -> House:
    modules = []
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, file.read_text("utf-8"), is_package))
    return house_of(*modules)


def test_whole_package_is_checked() -> None:
    house = house_as_it_stands()
    assert {module.folder for module in house.values()} >= {
        "",
        "semantics",
        "http1",
        "transport",
        "serving",
        "observe",
        "apps",
        "file_server",
        "command",
    }
    assert house[HOUSE].floor == house["trio_http.command.cli"].floor == TOP
    assert house["trio_http.semantics.headers"].floor == 1
    assert "trio_http.semantics.headers" in needed(house["trio_http.semantics.request"], house)


@pytest.mark.parametrize("law", LAWS)
def test_package_keeps_every_law(law: Law) -> None:
    assert list(law(house_as_it_stands())) == []
