"""Plain English: habits that make a stranger read a sentence twice are refused.

Checked are comments, docstrings and messages of the code, the README and what lies beside it,
and the names of tests.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import CHECKOUT

CODE = sorted([*(CHECKOUT / "trio_http").rglob("*.py"), *(CHECKOUT / "tests").rglob("*.py")])
TEXTS = [CHECKOUT / "README.md", *sorted((CHECKOUT / ".github").glob("*.md"))]

# Each habit, and what to write instead.
BANNED = {
    r"\bwhoever\b": "name the subject: the client, the handler, the task",
    r"\bso (?:many|much)\b(?! (?:that|as|more|less))": "say the number, or name its parameter",
    r"\bat hand\b": "current, unread, available",
    r"\bof ours\b": "say whose it is",
    r"\bas mostly\b": "usually",
    r"\bis for \w+ to\b": "say who does it",
    r"\b(?:an|the|its|this|each|every|no|one) answers?\b": "response, the RFC's word",
    r"\b(?:nobody|somebody|everybody)\b": "name the subject: no client, another program",
    r"\blets? (?:it|them|there|that) be\b": "say what is done",
}

# A docstring of a function or a class begins with a verb, or with the thing that it returns.
QUESTION = re.compile(r"(?:What|Who|Whether|How|Which|Where|When)\b")


def docstrings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring of a function or a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.lineno, text


def texts_in(source: str) -> Iterator[tuple[int, str]]:
    """Yield each text for people in a module: comments, docstrings and other strings."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def banned_in(text: str) -> list[str]:
    """Return what to write instead of each banned form in a text."""
    plain = " ".join(text.split())
    return [advice for form, advice in BANNED.items() if re.search(form, plain, re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        "Whoever asks gets it.",
        "Read so many bytes.",
        "the bytes at hand",
        "a value of ours",
        "None, as mostly",
        "It is for callers to close.",
        "The answer has left.",
        "nobody reads it",
        "Let it be the last.",
    ],
)
def test_banned_form_is_found(text: str) -> None:
    assert len(banned_in(text)) == 1


@pytest.mark.parametrize(
    "text", ["so much that it waits", "Answer with a file.", "The client receives the response."]
)
def test_ordinary_form_is_allowed(text: str) -> None:
    assert banned_in(text) == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_code_has_no_banned_form(path: Path) -> None:
    if path == Path(__file__):
        return
    found = [(line, *banned_in(text), text) for line, text in texts_in(path.read_text("utf-8"))]
    assert [each for each in found if len(each) > 2] == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_docstring_begins_with_no_question(path: Path) -> None:
    found = docstrings_of(ast.parse(path.read_text("utf-8")))
    assert [(line, text) for line, text in found if QUESTION.match(text)] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_text_has_no_banned_form(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert [(line, banned_in(line)) for line in lines if banned_in(line)] == []


@pytest.mark.parametrize(
    "path",
    [path for path in CODE if path.name.startswith("test_")],
    ids=lambda path: str(path.relative_to(CHECKOUT)),
)
def test_name_of_test_says_an_outcome(path: Path) -> None:
    names = re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    assert [name for name in names if re.match(r"test_(?:what|who|how|whether|which)_", name)] == []
