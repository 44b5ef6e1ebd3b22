"""Tests of forms while they are received, in both of HTML's encodings."""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import pairwise
from urllib.parse import unquote_to_bytes, urlencode

import pytest
import trio
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.forms import (
    AT_ONCE,
    BESIDE,
    EVENTS_AT_ONCE,
    MOST_FIELDS,
    Form,
    decoded_pieces,
    form_of,
)
from trio_http.semantics.headers import NO_FIELDS
from trio_http.semantics.incoming_body import READ_LIMIT
from trio_http.semantics.query_parameters import Parameters

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=cut"

# A field as a reader sees it: name, file name, media type and value.
Got = tuple[str, str | None, str | None, bytes]


class Pieces:
    """A body that has already arrived, completely or not; ``taken`` counts the pieces read."""

    def __init__(self, pieces: Iterable[bytes | Exception]) -> None:
        self._pieces = iter(pieces)
        self.taken = 0
        self.trailers = NO_FIELDS

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            self.taken += 1
            if isinstance(piece, Exception):
                raise piece
            return piece
        raise StopAsyncIteration

    def open_pipe(self) -> None:
        """Return no pipe, because the pieces are already in Python."""


class Shared(Pieces):
    """A body that counts how often other tasks may run."""

    turns = 0

    async def give_way(self) -> None:
        self.turns += 1


def form(content_type: str, *pieces: bytes | Exception) -> Form:
    return form_of(content_type, Pieces(pieces))


def part(value: bytes, *headers: str) -> bytes:
    return b"--cut\r\n" + "".join(f"{line}\r\n" for line in headers).encode() + b"\r\n" + value


def named(name: str, value: bytes, more: str = "", *headers: str) -> bytes:
    return part(value, f'Content-Disposition: form-data; name="{name}"{more}', *headers)


def multipart(*parts: bytes) -> bytes:
    return b"".join(one + b"\r\n" for one in parts) + b"--cut--\r\n"


async def all_of(form: Form) -> list[Got]:
    return [(f.name, f.filename, f.media_type, await f.read()) async for f in form]


async def refusal_of(form: Form) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        await all_of(form)
    return caught.value


TWO = multipart(
    named("title", "café".encode()),
    named("file", b"\x89PNG\r\n", '; filename="a b.png"', "Content-Type: image/png"),
)

# Media types


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json", "multipart/mixed; boundary=cut", "multipart", "form"],
)
def test_other_media_types_raise_415(content_type: str) -> None:
    with pytest.raises(HTTPError, match="a form is expected") as caught:
        form(content_type)
    assert caught.value.status == 415
    # RFC 9110 15.5.16: the media types that are accepted.
    assert caught.value.headers["Accept"] == f"{URLENCODED}, multipart/form-data"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b"title=caf%C3%A9"),
        ("Application/X-WWW-Form-URLEncoded; charset=UTF-8", b"title=caf%C3%A9"),
        (MULTIPART, multipart(named("title", "café".encode()))),
        (
            'Multipart/Form-Data; charset=utf-8; Boundary="cut"',
            multipart(named("title", b"caf\xc3\xa9")),
        ),
    ],
)
async def test_both_encodings_give_the_same_fields(content_type: str, body: bytes) -> None:
    assert await all_of(form(content_type, body)) == [("title", None, None, "café".encode())]


# Other tasks


ESCAPES = b"%41" * (300_000 // 3)


@pytest.mark.parametrize(
    ("content_type", "body", "turns"),
    [
        (URLENCODED, b"a=1&b=2", 0),
        (URLENCODED, b"a=" + ESCAPES, 300_000 // AT_ONCE),
        (URLENCODED, ESCAPES, 300_000 // AT_ONCE),
        (URLENCODED, b"&".join([b"a=" + b"%41" * 1000] * 100), 300_000 // (2 * AT_ONCE)),
        (URLENCODED, b"&".join([b"a"] * 1000), 1000 * BESIDE // (2 * AT_ONCE)),
        (MULTIPART, multipart(named("a", b"1"), named("b", b"2")), 0),
        (MULTIPART, multipart(named("a", bytes(300_000))), 0),  # a single piece needs no parsing
        (MULTIPART, multipart(*[named("a", b"1")] * 900), 900 * 3 // EVENTS_AT_ONCE),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
async def test_other_tasks_run_while_large_forms_are_parsed(
    content_type: str, body: bytes, turns: int
) -> None:
    shared = Shared([body])
    fields = await all_of(form_of(content_type, shared))
    assert fields
    assert turns <= shared.turns <= 3 * turns


@pytest.mark.parametrize("end", [b"%41", b"%4", b"%", b"+%41%", b"%%%", b"%zz"])
@pytest.mark.parametrize("before", range(5))
def test_pieces_never_split_an_escape(before: int, end: bytes) -> None:
    raw = (b"x" * (AT_ONCE - before) + end) * 3
    pieces = list(decoded_pieces(raw))
    assert b"".join(pieces) == unquote_to_bytes(raw.replace(b"+", b" "))
    assert all(pieces)


# Urlencoded


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (b"a=1&b=&a=2", [("a", b"1"), ("b", b""), ("a", b"2")]),
        (b"a+b=%26%3D", [("a b", b"&=")]),
        (b"a=%FF%00", [("a", b"\xff\x00")]),
        (b"a=\xff", [("a", b"\xff")]),  # not escaped, but unambiguous
        (b"a=%ED%A0%80", [("a", b"\xed\xa0\x80")]),
    ],
)
async def test_urlencoded_fields_are_decoded(
    body: bytes, expected: list[tuple[str, bytes]]
) -> None:
    fields = await all_of(form(URLENCODED, body[:3], body[3:]))
    assert fields == [(name, None, None, value) for name, value in expected]


async def test_urlencoded_form_above_the_limit_raises_413() -> None:
    await all_of(form(URLENCODED, b"a=", bytes(READ_LIMIT - 2)))
    error = await refusal_of(form(URLENCODED, b"a=", bytes(READ_LIMIT - 1)))
    assert error.status == 413


async def test_more_than_1000_urlencoded_fields_raise_413() -> None:
    assert len(await all_of(form(URLENCODED, b"&".join([b"a=1"] * MOST_FIELDS)))) == MOST_FIELDS
    error = await refusal_of(form(URLENCODED, b"&".join([b"a=1"] * (MOST_FIELDS + 1))))
    assert (error.status, error.detail) == (413, "a form may have at most 1000 fields")


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.binary())), st.integers(1, 10))
def test_arbitrary_urlencoded_forms_are_read(pairs: list[tuple[str, bytes]], size: int) -> None:
    body = urlencode(pairs).encode()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    fields = trio.run(all_of, form(URLENCODED, *pieces))
    assert [(name, value) for name, _, _, value in fields] == pairs


# Multipart


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (multipart(), []),
        (
            TWO,
            [
                ("title", None, None, "café".encode()),
                ("file", "a b.png", "image/png", b"\x89PNG\r\n"),
            ],
        ),
        (
            multipart(named("a", b""), named("b", b"")),
            [("a", None, None, b""), ("b", None, None, b"")],
        ),
        (
            multipart(named("a", b"1"), named("a", b"2")),
            [("a", None, None, b"1"), ("a", None, None, b"2")],
        ),
        # RFC 7578 4.2: a form in which no file was chosen
        (
            multipart(named("a", b"", '; filename=""', "Content-Type: application/octet-stream")),
            [("a", "", "application/octet-stream", b"")],
        ),
        # 4.4: the default is text/plain, but it was not sent
        (multipart(named("a", b"", '; filename="b"')), [("a", "b", None, b"")]),
        (multipart(named("a", b"1", "", "Content-Type:")), [("a", None, None, b"1")]),
        (
            multipart(named("a", b"{}", "", "content-type: Application/JSON; x=y")),
            [("a", None, "application/json", b"{}")],
        ),
        # 5.1: names in UTF-8, as browsers write them (HTML 4.10.21.8: and escape these)
        (multipart(named("é%22%0D%0A", b"1")), [('é"\r\n', None, None, b"1")]),
        (
            multipart(part(b"1", "Content-Disposition: form-data; name=a")),
            [("a", None, None, b"1")],
        ),
        (multipart(part(b"1", "Content-Disposition: form-data")), [("", None, None, b"1")]),
        # 4.2: the client's name is not a path on this server, and is not changed.
        (
            multipart(named("a", b"1", '; filename="../../etc/passwd"')),
            [("a", "../../etc/passwd", None, b"1")],
        ),
        # Bytes that look like a delimiter
        (multipart(named("a", b"--cut\r\n")), [("a", None, None, b"--cut\r\n")]),
        (multipart(named("a", b"\r\n--cu\r\n--\r\n")), [("a", None, None, b"\r\n--cu\r\n--\r\n")]),
        # RFC 2046 5.1.1: a preamble and an epilogue are ignored
        (b"preamble\r\n" + TWO[:-2] + b"\r\nepilogue", None),
        (b"\r\n" + TWO, None),
        (TWO.removesuffix(b"\r\n"), None),
    ],
)
async def test_multipart_fields_are_read(body: bytes, expected: list[Got] | None) -> None:
    expected = await all_of(form(MULTIPART, TWO)) if expected is None else expected
    assert await all_of(form(MULTIPART, body)) == expected


DISPOSITION = 'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"nonsense",
        b"a=1&b=2",
        TWO[:-6],  # incomplete
        TWO[:20],
        TWO.replace(b"\r\n", b"\n"),
        multipart(part(b"1")),  # RFC 7578 4.2: each part has a name
        multipart(part(b"1", "Content-Type: text/plain")),
        multipart(part(b"1", "Content-Disposition: attachment; name=a")),
        multipart(part(b"1", DISPOSITION, "no field")),
        multipart(part(b"1", DISPOSITION, "a b: c")),
        multipart(named("a" * 5000, b"1")),
        multipart(part(b"1", DISPOSITION, *[f"X-{n}: 1" for n in range(20)])),
        multipart(named("a", b"1", "", "Content-Length: 2")),
        multipart(named("a", b"1", "", "Content-Length: " + "9" * 4100)),
    ],
)
async def test_malformed_or_incomplete_multipart_raises_400(body: bytes) -> None:
    error = await refusal_of(form(MULTIPART, *[body[n : n + 1] for n in range(len(body))]))
    assert error.status == 400
    assert (await refusal_of(form(MULTIPART, body))).status == 400


async def test_error_comes_after_valid_fields_and_repeats() -> None:
    fields = form(MULTIPART, TWO[:-6])
    title = await anext(aiter(fields))
    assert await title.text() == "café"
    file = await anext(aiter(fields))
    assert file.filename == "a b.png"
    for _ in range(3):
        with pytest.raises(HTTPError, match="malformed or incomplete"):
            await file.read()
    for _ in range(3):
        with pytest.raises(HTTPError, match="malformed or incomplete"):
            await anext(aiter(fields))


async def test_more_than_1000_parts_raise_413() -> None:
    assert len(await all_of(form(MULTIPART, multipart(*[named("a", b"")] * MOST_FIELDS)))) == 1000
    body = multipart(*[named("a", b"1")] * (MOST_FIELDS + 1))
    for size in (len(body), 1000):  # in one piece, or in many
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        fields = form(MULTIPART, *pieces)
        for _ in range(MOST_FIELDS):
            assert await (await anext(aiter(fields))).read() == b"1"
        for _ in range(3):
            with pytest.raises(HTTPError, match="a form may have at most 1000 fields") as caught:
                await anext(aiter(fields))
            assert caught.value.status == 413


async def test_disconnect_during_a_form_raises_client_disconnected() -> None:
    fields = form(MULTIPART, TWO[:-20], ClientDisconnected())
    with pytest.raises(ClientDisconnected):
        await all_of(fields)


# Boundaries


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; xboundary=cut",
        'multipart/form-data; boundary="cut "',  # RFC 2046 5.1.1: no space at the end
        f"multipart/form-data; boundary={'x' * 71}",  # 5.1.1: at most 70
        'multipart/form-data; boundary="\udcff"',
        'multipart/form-data; boundary="é"',
        'multipart/form-data; boundary="a\tb"',
    ],
)
def test_invalid_boundary_raises_400(content_type: str) -> None:
    with pytest.raises(HTTPError, match="has no valid boundary") as caught:
        form(content_type, TWO)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("boundary", "written"),
    [
        ("----WebKitFormBoundaryAbC123", "----WebKitFormBoundaryAbC123"),
        ("x" * 70, "x" * 70),
        ("a'()+_,-./:=?b", '"a\'()+_,-./:=?b"'),
        ("a:b=c", "a:b=c"),  # RFC 2046 requires quotes; some clients omit them
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a;b", '"a;b"'),
    ],
)
async def test_valid_boundaries_are_accepted(boundary: str, written: str) -> None:
    body = multipart(named("a", b"1")).replace(b"--cut", b"--" + boundary.encode())
    fields = await all_of(form(f"multipart/form-data; boundary={written}", body))
    assert fields == [("a", None, None, b"1")]


# Streaming


def endless(read: int) -> Iterator[bytes]:
    yield named("file", b"", '; filename="film"')
    for n in range(read):
        yield bytes([n + 65]) * 1000
    raise AssertionError("read further than was asked for")


async def test_file_is_read_only_as_far_as_requested() -> None:
    body = Pieces(endless(50))
    file = await anext(aiter(form_of(MULTIPART, body)))
    assert body.taken == 1
    got = b""
    while body.taken <= 50:
        got += await anext(file)
        # Only bytes that could begin a delimiter are held back.
        assert 0 <= (body.taken - 1) * 1000 - len(got) <= len("\r\n--cut--\r\n")
    assert b"".join(bytes([n + 65]) * 1000 for n in range(50)).startswith(got)


async def test_pieces_of_a_field_are_never_empty() -> None:
    body = Pieces([TWO[n : n + 1] for n in range(len(TWO))])
    async for field in form_of(MULTIPART, body):
        assert all([piece async for piece in field])


async def test_unread_rest_of_a_field_is_skipped() -> None:
    body = multipart(named("a", b"long " * 100), named("b", b"2"), named("c", b"3"))
    fields = form(MULTIPART, *[body[n : n + 7] for n in range(0, len(body), 7)])
    names = []
    async for field in fields:
        names.append(field.name)
        if field.name == "a":
            assert (await anext(field)).startswith(b"l")
        if field.name == "c":
            assert await field.read() == b"3"
    assert names == ["a", "b", "c"]


async def test_field_is_empty_after_the_next_is_requested() -> None:
    fields = form(MULTIPART, multipart(named("a", b"1"), named("b", b"2")))
    first = await anext(aiter(fields))
    second = await anext(aiter(fields))
    assert await first.read() == b""
    assert await second.read() == b"2"


async def test_field_is_empty_on_second_read() -> None:
    for content_type, body in [(MULTIPART, multipart(named("a", b"1"))), (URLENCODED, b"a=1")]:
        field = await anext(aiter(form(content_type, body)))
        assert await field.read() == b"1"
        assert await field.read() == b""


async def test_form_is_empty_on_second_read() -> None:
    for content_type, body in [(MULTIPART, TWO), (URLENCODED, b"a=1")]:
        fields = form(content_type, body)
        assert await all_of(fields)
        assert await all_of(fields) == []


async def test_body_is_read_to_its_end() -> None:
    body = Pieces([TWO, b"epilogue", b"more of it"])
    await all_of(form_of(MULTIPART, body))
    assert body.taken == 3


# Values


async def test_field_above_the_limit_raises_413() -> None:
    for content_type, body in [
        (MULTIPART, multipart(named("a", b"1234"))),
        (URLENCODED, b"a=1234"),
    ]:
        assert await (await anext(aiter(form(content_type, body)))).read(4) == b"1234"
        with pytest.raises(HTTPError) as caught:
            await (await anext(aiter(form(content_type, body)))).read(3)
        assert caught.value.status == 413
        with pytest.raises(HTTPError) as caught:
            await (await anext(aiter(form(content_type, body)))).text(3)
        assert caught.value.status == 413


async def test_text_that_is_not_utf_8_raises_400() -> None:
    for content_type, body in [(MULTIPART, multipart(named("a", b"\xff"))), (URLENCODED, b"a=%FF")]:
        with pytest.raises(HTTPError, match="the field a is not valid utf-8") as caught:
            await (await anext(aiter(form(content_type, body)))).text()
        assert caught.value.status == 400


LATIN = "caf\xe9".encode("latin-1")
SAYS_LATIN = "Content-Type: text/plain; charset=ISO-8859-1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, multipart(named("a", LATIN, "", SAYS_LATIN))),
        (MULTIPART, multipart(named("_charset_", b"latin1"), named("a", LATIN))),
        # RFC 7578 4.6 and 5.1.2: the charset of the part has priority.
        (MULTIPART, multipart(named("_charset_", b"utf-8"), named("a", LATIN, "", SAYS_LATIN))),
        (MULTIPART, multipart(*[named("_charset_", c) for c in (b"cp1252", b"utf-8")])[:-9]
         + multipart(named("a", LATIN))),
        (URLENCODED, b"_charset_=windows-1252&a=caf%E9"),
        (URLENCODED, b"a=caf%E9&_charset_=windows-1252"),  # urlencoded forms are read whole
        (URLENCODED, b"_charset_=windows-1252&_charset_=utf-8&a=caf%E9"),
        (f"{URLENCODED}; charset=ISO-8859-1", b"a=caf%E9"),
        (f"{URLENCODED}; charset=utf-8", b"a=caf%E9&_charset_=ISO-8859-1"),
        (URLENCODED, b"a=caf%C3%A9&_charset_="),  # an empty label is ignored
        (MULTIPART, multipart(named("_charset_", b""), named("a", "café".encode()))),
    ],
)  # fmt: skip
async def test_text_is_decoded_in_the_named_charset(content_type: str, body: bytes) -> None:
    texts = {f.name: await f.text() async for f in form(content_type, body)}
    assert texts["a"] == "café"
    assert (await form(content_type, body).values())["a"] == "café"
    pieces = [body[n : n + 1] for n in range(len(body))]
    assert (await form(content_type, *pieces).values())["a"] == "café"


async def test_values_use_a_charset_field_that_comes_last() -> None:
    body = multipart(named("a", LATIN), named("_charset_", b"windows-1252"))
    expected = Parameters([("a", "café"), ("_charset_", "windows-1252")])
    assert await form(MULTIPART, body).values() == expected
    first = await anext(aiter(form(MULTIPART, body)))
    with pytest.raises(HTTPError, match="the field a is not valid utf-8"):
        await first.text()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, multipart(named("a", b"x", "", "Content-Type: text/plain; charset=klingon"))),
        (MULTIPART, multipart(named("_charset_", b"base64"), named("a", b"x"))),
        (URLENCODED, b"a=x&_charset_=utf-7"),
        (URLENCODED, b"a=x&_charset_=%FF"),
    ],
)
async def test_unknown_charset_raises_415(content_type: str, body: bytes) -> None:
    with pytest.raises(HTTPError, match=r"the charset .* is unknown") as caught:
        await form(content_type, body).values()
    assert caught.value.status == 415
    # The bytes are available anyway.
    assert ("a", b"x") in [
        (name, value) for name, _, _, value in await all_of(form(content_type, body))
    ]


async def test_too_long_charset_label_raises_413() -> None:
    error = await refusal_of(form(MULTIPART, multipart(named("_charset_", bytes(101)))))
    assert error.status == 413


async def test_malformed_extended_file_name_raises_400() -> None:
    body = multipart(named("a", b"1"), named("b", b"2", "; filename*=klingon''c"))
    fields = form(MULTIPART, body)
    assert (await anext(aiter(fields))).filename is None
    with pytest.raises(HTTPError) as caught:
        await anext(aiter(fields))
    assert caught.value.status == 400
    assert caught.value.detail == "filename* of the field b is malformed"


async def test_extended_file_name_alone_is_used() -> None:
    body = multipart(named("a", b"1", "; filename*=UTF-8''caf%C3%A9"))
    assert await all_of(form(MULTIPART, body)) == [("a", "café", None, b"1")]


async def test_name_that_is_not_utf_8_is_kept() -> None:
    body = multipart(named("a", b"1", '; filename="b"')).replace(b'"a"', b'"\xff"')
    assert await all_of(form(MULTIPART, body)) == [("\udcff", "b", None, b"1")]


async def test_values_returns_all_fields() -> None:
    body = multipart(named("a", b"1"), named("b", "é".encode()), named("a", b"2"))
    expected = Parameters([("a", "1"), ("b", "é"), ("a", "2")])
    assert await form(MULTIPART, body).values() == expected
    assert await form(URLENCODED, b"a=1&b=%C3%A9&a=2").values() == expected


async def test_values_above_the_limit_together_raise_413() -> None:
    body = multipart(named("a", "éé".encode()), named("b", b"2"))
    assert len(await form(MULTIPART, body).values(5)) == 2
    with pytest.raises(HTTPError) as caught:
        await form(MULTIPART, body).values(4)
    assert caught.value.status == 413


# Arbitrary forms, cut anywhere

# Parts of delimiters, and bytes that look like them.
DUST = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"-", b"--", b"cut", b"--cut", b": ", b'"', b"a"])
).map(b"".join)
VALUES = (st.binary() | DUST).filter(lambda value: b"\r\n--cut" not in b"\r\n" + value + b"\r\n")
# A percent sign or backslash could belong to either way of escaping a quote.
NAMES = st.text(st.characters(exclude_characters='%\\:"\r\n', exclude_categories=["Cs"]))
FIELDS = st.lists(st.tuples(NAMES, st.none() | NAMES, VALUES), max_size=4)


def written(fields: list[tuple[str, str | None, bytes]]) -> bytes:
    return multipart(
        *[
            named(name, value, "" if filename is None else f'; filename="{filename}"')
            for name, filename, value in fields
        ]
    )


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({place for place in places if 0 < place < len(body)}), len(body)]
    return [body[start:stop] for start, stop in pairwise(edges) if start < stop]


def outcome(pieces: Iterable[bytes]) -> list[Got] | int:
    async def run() -> list[Got] | int:
        try:
            return await all_of(form(MULTIPART, *pieces))
        except HTTPError as error:
            return error.status

    return trio.run(run)


@settings(deadline=None)
@given(FIELDS, st.lists(st.integers(0, 300)))
def test_form_is_read_for_any_cuts(
    fields: list[tuple[str, str | None, bytes]], places: list[int]
) -> None:
    expected = [(name, filename, None, value) for name, filename, value in fields]
    body = written(fields)
    assert outcome(cut_at(body, places)) == expected
    assert outcome(cut_at(body, range(len(body)))) == expected


@settings(deadline=None)
@given(FIELDS, st.integers(0, 300), st.integers(0, 5), DUST | st.binary(), st.lists(st.integers(0)))
def test_damaged_form_is_read_or_raises_400(
    fields: list[tuple[str, str | None, bytes]],
    at: int,
    lost: int,
    found: bytes,
    places: list[int],
) -> None:
    body = written(fields)
    body = body[:at] + found + body[at + lost :]
    # The parser looks at the bytes before the first delimiter only as far as they have arrived,
    # and takes "x--cut" for a delimiter if the x arrived separately.
    assume(body.startswith(b"--cut"))
    whole = outcome(cut_at(body, []))
    assert whole == 400 or isinstance(whole, list)
    assert outcome(cut_at(body, places)) in (whole, 400)


@settings(deadline=None)
@given(DUST | st.binary(), st.lists(st.integers(0)))
def test_arbitrary_bytes_are_read_or_raise_400(body: bytes, places: list[int]) -> None:
    whole = outcome(cut_at(body, []))
    assert whole == 400 or isinstance(whole, list)
    assert outcome(cut_at(body, places)) in (whole, 400)


@settings(deadline=None)
@given(st.text() | st.text(st.sampled_from('=;" \\abc\udcff')))
def test_arbitrary_parameters_are_accepted_or_raise_400(parameters: str) -> None:
    status = 200
    try:
        form(f"multipart/form-data;boundary={parameters}", TWO)
    except HTTPError as error:
        status = error.status
    assert status in {200, 400}
