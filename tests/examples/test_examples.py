"""Tests that each example starts as its docstring says, and uses public names only."""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
from support import connected, started

import trio_http.examples

FILES = sorted(Path(trio_http.examples.__file__).parent.glob("[!_]*.py"))
EXAMPLES = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def commands_of(file: Path) -> list[list[str]]:
    """Return the commands in an example's docstring."""
    told = ast.get_docstring(ast.parse(file.read_text())) or ""
    return [shlex.split(line) for line in re.findall("^    (.*)$", told, re.MULTILINE)]


def test_all_examples_are_tested() -> None:
    assert {file.stem for file in FILES} >= {
        "chat",
        "embedded",
        "hello",
        "pool",
        "progress",
        "uploads",
    }


@EXAMPLES
async def test_commands_in_the_docstring_work(file: Path, tmp_path: Path) -> None:
    start, *curls = commands_of(file)
    assert curls
    assert start[:2] in (["trio-http", "app"], ["python", "-m"])
    # The examples all use the same port; their tests must not.
    if start[0] == "python":
        command = [sys.executable, *start[1:], "127.0.0.1:0"]
    else:
        command = [sys.executable, "-m", "trio_http", *start[1:], "--bind", "127.0.0.1:0"]
    elsewhere = ["sh", "-c", 'cd "$0" && exec "$@" >&2', str(tmp_path)]
    async with started([*elsewhere, *command]) as program:
        (port,) = await program.says(r"(?i:listening) on .*:(\d+)\n")
        for curl in curls:
            async with connected(int(port)) as client:
                method = curl[curl.index("-X") + 1] if "-X" in curl else "GET"
                target = curl[-1].partition("localhost:4221")[2]
                if "--data-binary" in curl:
                    method = "POST"
                response = await client.open(method, target)
                assert response.status in {200, 201, 202}
        program.process.kill()  # a drain would wait for endless streams


@EXAMPLES
def test_example_uses_public_names_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trio_http"):
            assert node.module == "trio_http"
            assert {alias.name for alias in node.names} <= set(dir(trio_http))
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("trio_http") for alias in node.names)
    assert len(file.read_text().splitlines()) <= 100
