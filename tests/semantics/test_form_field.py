"""Tests of the value of a form field: whole, in pieces, and as text."""

import pytest

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.form_field import FormField


def field_of(*pieces: bytes, charset: str | None = None) -> FormField:
    rest = [*pieces, b""]

    async def pull() -> bytes:
        return rest.pop(0)

    return FormField("title", None, None, pull, charset)


async def test_value_is_read_in_pieces_or_whole() -> None:
    assert [piece async for piece in field_of(b"one", b"two")] == [b"one", b"two"]
    assert await field_of(b"one", b"two").read() == b"onetwo"


async def test_value_above_the_limit_raises_413() -> None:
    assert await field_of(b"12", b"34").read(4) == b"1234"
    with pytest.raises(HTTPError) as caught:
        await field_of(b"12", b"34").text(3)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [(b"caf\xc3\xa9", None, "café"), (b"caf\xe9", "iso-8859-1", "café"), (b"", "utf-8", "")],
)
async def test_text_is_decoded_in_the_charset_of_the_field(
    raw: bytes, charset: str | None, text: str
) -> None:
    assert await field_of(raw, charset=charset).text() == text


@pytest.mark.parametrize(
    ("charset", "status", "detail"),
    [
        (None, 400, "the field title is not valid utf-8"),
        ("klingon", 415, "the charset klingon of the field title is unknown"),
    ],
)
async def test_undecodable_text_raises_400_or_415(
    charset: str | None, status: int, detail: str
) -> None:
    with pytest.raises(HTTPError) as caught:
        await field_of(b"\xe9", charset=charset).text()
    assert (caught.value.status, caught.value.detail) == (status, detail)
