"""Tests of the names of form parts and their files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import parse_content_disposition

from trio_http.semantics.content_disposition import filename_of, unescaped


def name_in(parameters: str) -> str | None:
    """Return the file name in some parameters, using the parser of forms."""
    disposition = f"form-data; name=a{parameters}"
    return filename_of(disposition, parse_content_disposition(disposition)[2])


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        ("", None),
        ('; filename=""', ""),
        ('; filename="a"', "a"),
        ("; filename=a", "a"),
        ('; filename="caf\xc3\xa9"', "café"),
        ('; filename="caf\xe9\xff"', "caf\udce9\udcff"),  # not UTF-8, and not lost
        ("; filename=\xff", None),  # neither a token nor a string
        ("; filename*=UTF-8''caf%C3%A9", "café"),
        ("; filename*=utf-8'en'a%20b%FF", "a b\udcff"),
        ("; FileName*=\"UTF-8''a\"", "a"),
        ("; filename*=ISO-8859-1''caf%E9", "café"),  # required by RFC 5987 3.2
        ("; filename*=UTF-8''", ""),
        ("; filename*=UTF-8''a'b", "a'b"),  # should be escaped, but is not ambiguous
        # Two names, on which parsers could disagree: the one that forms allow counts.
        ("; filename=\"a\"; filename*=UTF-8''b", "a"),
        ("; filename*=UTF-8''b; filename=a", "a"),
        ("; filename=a; filename*=nonsense", "a"),
        ("; filename=\"\"; filename*=UTF-8''b", "b"),
    ],
)
def test_filename_of_returns_the_name_that_counts(parameters: str, filename: str | None) -> None:
    assert name_in(parameters) == filename


@pytest.mark.parametrize(
    "extended",
    ["", "name", "UTF-8'name", "''name", "klingon''a", "UTF-16''%00", "gbk''%FF", "punycode''a"],
)
def test_malformed_extended_name_raises_value_error(extended: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - callers make the message
        name_in(f"; filename*={extended}")


@given(st.binary())
def test_every_byte_of_a_name_is_kept(raw: bytes) -> None:
    assert unescaped(raw.decode("latin-1")).encode("utf-8", "surrogateescape") == raw
