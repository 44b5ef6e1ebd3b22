"""Tests of the grammar of tokens."""

import re

import pytest
from support import CHECKOUT

from trio_http.semantics.tokens import TCHAR, TOKEN, is_token

# RFC 9110 5.6.2: the punctuation, digits and letters that it calls tchar.
ALL = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_token_characters_are_those_of_the_rfc() -> None:
    every = bytes(range(256))
    assert {byte for byte in every if is_token(bytes([byte]))} == set(ALL)
    assert b"".join(re.findall(TOKEN, every)) == bytes(sorted(ALL))
    characters = re.compile(f"[{TCHAR}]")
    assert set(characters.findall(every.decode("latin-1"))) == set(ALL.decode())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"GET", True),
        (b"x", True),
        (b"!#$%&'*+-.^_`|~09AZaz", True),  # all punctuation of tchar in RFC 9110 5.6.2
        (b"", False),
        (b"a b", False),
        (b"a:", False),
        (b"a\n", False),
        (b"(a)", False),
        ("é".encode(), False),
    ],
)
def test_is_token_accepts_tokens_only(raw: bytes, expected: bool) -> None:  # noqa: FBT001 - the outcome
    assert is_token(raw) is expected


def test_grammar_of_tokens_is_stated_once() -> None:
    sources = (CHECKOUT / "trio_http").rglob("*.py")
    spellings = ("$%&'*+", "$%%&'*+")  # plain, and in a format string
    found = [path.name for path in sources if any(map(path.read_text("utf-8").count, spellings))]
    assert found == ["tokens.py"]
