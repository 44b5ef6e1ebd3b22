"""Tests of reading request bodies."""

import tracemalloc

import pytest
from support import ReceivedBody

from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.incoming_body import (
    READ_LIMIT,
    IncomingBody,
    OpenPipe,
    give_way_of,
    no_pipe,
    read_all,
    text_in,
)

# Reading all of it


async def test_read_all_joins_the_pieces() -> None:
    assert await read_all(ReceivedBody(b"first ", b"line"), 100) == b"first line"
    assert await read_all(ReceivedBody(), 100) == b""


async def test_body_of_exactly_the_limit_is_read() -> None:
    assert await read_all(ReceivedBody(b"12", b"34"), 4) == b"1234"
    assert await read_all(ReceivedBody(), 0) == b""


async def test_larger_body_raises_413_and_is_read_no_further() -> None:
    unread = AssertionError("read further")
    with pytest.raises(HTTPError, match="more than 3 bytes") as caught:
        await read_all(ReceivedBody(b"12", b"34", unread), 3)
    assert caught.value.status == 413


async def test_small_pieces_take_little_more_memory_than_their_bytes() -> None:
    class Trickle(ReceivedBody):
        left = 50_000

        async def __anext__(self) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return b"%03d" % (self.left % 1000)

    tracemalloc.start()
    try:
        assert len(await read_all(Trickle(), 150_000)) == 150_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 150_000


async def test_incomplete_body_raises_client_disconnected() -> None:
    with pytest.raises(ClientDisconnected):
        await read_all(ReceivedBody(b"half", ClientDisconnected()), 100)


def test_default_limit_suits_forms() -> None:
    assert 64 * 1024 <= READ_LIMIT <= 16 * 1024 * 1024


def test_received_body_is_an_incoming_body() -> None:
    body: IncomingBody = ReceivedBody()
    assert body.trailers == Headers()


async def test_give_way_of_calls_the_method_of_the_body() -> None:
    class Shared(ReceivedBody):
        turns = 0

        async def give_way(self) -> None:
            self.turns += 1

    body = Shared()
    await give_way_of(body)()
    await give_way_of(ReceivedBody())()
    assert body.turns == 1


# Texts


@pytest.mark.parametrize(
    ("raw", "charset", "expected"),
    [
        (b"", "utf-8", ""),
        (b"caf\xc3\xa9", "utf-8", "café"),
        (b"caf\xc3\xa9", "UTF-8", "café"),  # RFC 9110 8.3.2: charsets have no case
        (b"caf\xe9", "ISO-8859-1", "café"),
        (b"\x80", "windows-1252", "€"),
        (b"abc", "us-ascii", "abc"),
        (b"\xff\xfea\x00", "utf-16", "a"),
        (b"\x82\xa0", "Shift_JIS", "あ"),
        (b"\xc4\xe3", "gbk", "你"),
        (b"\xcd", "koi8-u", "м"),
    ],
)
def test_text_in_decodes_the_charset(raw: bytes, charset: str, expected: str) -> None:
    assert text_in(raw, charset) == expected


@pytest.mark.parametrize(
    ("raw", "charset"),
    [
        (b"caf\xe9", "utf-8"),
        (b"\xed\xa0\x80", "utf-8"),  # a surrogate (RFC 3629 3)
        (b"\xc0\xaf", "utf-8"),  # an overlong encoding
        (b"a", "utf-16le"),  # half of a code unit
    ],
)
def test_invalid_text_raises_400(raw: bytes, charset: str) -> None:
    with pytest.raises(HTTPError, match=f"^.*the body is not valid {charset}") as caught:
        text_in(raw, charset)
    assert caught.value.status == 400
    with pytest.raises(HTTPError, match="the field a is not valid"):
        text_in(raw, charset, "the field a")


@pytest.mark.parametrize("charset", ["klingon", "", "\udcff", "base64", "punycode", "utf-7"])
@pytest.mark.parametrize("raw", [b"", b"abc"])
def test_unknown_charset_raises_415(charset: str, raw: bytes) -> None:
    with pytest.raises(HTTPError, match="is unknown") as caught:
        text_in(raw, charset)
    assert caught.value.status == 415


def test_no_pipe_returns_none() -> None:
    open_pipe: OpenPipe = no_pipe
    assert open_pipe() is None
