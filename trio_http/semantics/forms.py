"""Forms as they arrive: one field after the other, files as streams.

``multipart/form-data`` (RFC 7578) is taken apart by the library ``multipart``,
which neither buffers nor waits; it comes with the extra ``forms``.

Names are UTF-8 in which other bytes survive as surrogates, as everywhere here.
Values are bytes; as text they are in the charset that their part names, or else
in the one that the field ``_charset_`` names (RFC 7578 4.6), or else in UTF-8.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_to_bytes

from trio_http.semantics.content_disposition import filename_of, unescaped
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import media_type_of, parameter_of
from trio_http.semantics.headers import text_of
from trio_http.semantics.incoming import READ_LIMIT, IncomingBody, give_way_of, read_all, text_in
from trio_http.semantics.parameters import MOST, Parameters

if TYPE_CHECKING:
    from multipart import MultipartSegment, PushMultipartParser

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"

# More fields than any form has.
MOST_FIELDS = 1000

# Other tasks have a turn after each step of work on a form, and a step takes up to a
# millisecond: decoding an escape takes a quarter of a microsecond, making a field five,
# and parsing the header fields of a part ten.
AT_ONCE = 8 * 1024  # bytes of an urlencoded form in a step
BESIDE = 64  # bytes that take as long to decode as it takes to make a field
EVENTS_AT_ONCE = 16  # events of the parser in a step: a part has at least two

# The field that tells the charset of the others (HTML, "constructing the entry list"),
# and the bytes that this may take, which is more than the longest label does.
CHARSET_FIELD, LONGEST_LABEL = "_charset_", 100

# RFC 2046 5.1.1 says how long it may be, and takes fewer characters than some clients do.
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")

_Event: TypeAlias = "MultipartSegment | bytes | bytearray | None"

Pull: TypeAlias = Callable[[], Awaitable[bytes]]
"""Gives the next bytes of a value; none at its end."""


class FormField:
    """One field of a form: its name and, pulled piece by piece, its value.

    ``filename``, ``media_type`` and ``charset`` are what the client says, of files
    mostly, or else None; a filename is not to be trusted with more than being
    shown. A field has to be read before the next one is asked for; what is left
    is skipped.
    """

    def __init__(
        self,
        name: str,
        filename: str | None,
        media_type: str | None,
        pull: Pull,
        charset: str | None = None,
    ) -> None:
        self.name = name
        self.filename = filename
        self.media_type = media_type
        self.charset = charset
        self._pull = pull

    def __aiter__(self) -> FormField:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._pull()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """The whole value; one of more than ``limit`` bytes is a 413."""
        return await read_all(self, limit)

    async def text(self, limit: int = READ_LIMIT) -> str:
        """Return the whole value as text, in its charset or in UTF-8.

        A value that is not valid in it is a 400, an unknown charset a 415.
        """
        return _text_of(self, await self.read(limit))


def _text_of(field: FormField, value: bytes) -> str:
    return text_in(value, field.charset or "utf-8", f"the field {field.name}")


class Form:
    """The fields of a form, pulled one after the other: ``async for field in form``."""

    def __init__(self, next_field: Callable[[], Awaitable[FormField | None]]) -> None:
        self._next_field = next_field

    def __aiter__(self) -> Form:
        return self

    async def __anext__(self) -> FormField:
        field = await self._next_field()
        if field is None:
            raise StopAsyncIteration
        return field

    async def values(self, limit: int = READ_LIMIT) -> Parameters:
        """All fields at once, for forms without files; together at most ``limit`` bytes.

        ``_charset_`` may come after the fields whose charset it tells.
        """
        fields: list[tuple[FormField, bytes]] = []
        charset = None
        left = limit
        async for field in self:
            value = await field.read(left)
            left -= len(value)
            fields.append((field, value))
            if field.name == CHARSET_FIELD and not charset:
                charset = text_of(value)
        for field, _ in fields:
            field.charset = field.charset or charset
        return Parameters([(field.name, _text_of(field, value)) for field, value in fields])


def form_of(content_type: str, body: IncomingBody) -> Form:
    """The form that a body holds, in either of HTML's encodings; any other is a 415."""
    match media_type_of(content_type):
        case "application/x-www-form-urlencoded":
            return Form(_Urlencoded(body, parameter_of(content_type, "charset")).next_field)
        case "multipart/form-data":
            return Form(_Multipart(body, content_type).next_field)
        case _:
            raise HTTPError(415, "a form is expected", {"Accept": f"{URLENCODED}, {MULTIPART}"})


class _Urlencoded:
    """An urlencoded form: read whole, because it is small, and decoded field by field."""

    def __init__(self, body: IncomingBody, charset: str | None) -> None:
        self._body = body
        self._charset = charset  # of which the media type knows nothing, but some clients do
        self._give_way = give_way_of(body)
        self._rest: Iterator[bytes] | None = None
        self._work = 0  # bytes decoded since other tasks had a turn, and ``BESIDE`` for each field

    async def next_field(self) -> FormField | None:
        if self._rest is None:
            raw = await read_all(self._body, READ_LIMIT)
            if raw.count(b"&") >= MOST:
                raise _too_many()
            pairs = raw.split(b"&")
            self._charset = _charset_in(pairs) or self._charset
            self._rest = iter(pairs)
        pair = next(filter(None, self._rest), None)
        if pair is None:
            return None
        self._work += len(pair) + BESIDE
        if self._work > AT_ONCE:
            await self._give_way()
            self._work = 0
        name, _, value = pair.partition(b"=")
        name = await _all(self._pull_of(name))
        return FormField(text_of(name), None, None, self._pull_of(value), self._charset)

    def _pull_of(self, raw: bytes) -> Pull:
        pieces = decoded_pieces(raw)
        if len(raw) <= AT_ONCE:
            return _once(b"".join(pieces))

        async def pull() -> bytes:
            await self._give_way()
            return next(pieces, b"")

        return pull


def _charset_in(pairs: Iterable[bytes]) -> str | None:
    """Return what a form says of its fields, wherever it does."""
    start = f"{CHARSET_FIELD}=".encode()
    values = (pair[len(start) :] for pair in pairs if pair.startswith(start))
    label = next(filter(None, values), b"")[:LONGEST_LABEL]
    return text_of(b"".join(decoded_pieces(label))) or None


def _too_many() -> HTTPError:
    return HTTPError(413, f"a form may have at most {MOST_FIELDS} fields")


def _once(value: bytes) -> Pull:
    rest = [value]

    async def pull() -> bytes:
        return rest.pop() if rest else b""

    return pull


async def _all(pull: Pull) -> bytes:
    pieces = []
    while piece := await pull():
        pieces.append(piece)
    return b"".join(pieces)


def decoded_pieces(raw: bytes) -> Iterator[bytes]:
    """Yield an urlencoded text decoded, in pieces of up to ``AT_ONCE`` bytes of it."""
    start = 0
    while start < len(raw):
        end = start + AT_ONCE
        # An escape that may end in the next piece is left to the next piece.
        escape = raw.rfind(b"%", end - 2, end)
        end = end if escape < 0 else escape
        yield unquote_to_bytes(raw[start:end].replace(b"+", b" "))
        start = end


class _Multipart:
    """Fields of a multipart form, as the parser finds them in the body."""

    def __init__(self, body: IncomingBody, content_type: str) -> None:
        try:
            import multipart  # noqa: PLC0415 - an extra, and not needed by most
        except ImportError:
            error = HTTPError(415, "multipart forms are not read here", {"Accept": URLENCODED})
            raise error from None
        boundary = parameter_of(content_type, "boundary") or ""
        if not _BOUNDARY.fullmatch(boundary):
            raise HTTPError(400, "a multipart form without a boundary")
        self._malformed = multipart.MultipartError
        # In latin-1 every byte is a character, so what is no UTF-8 is not lost. One field
        # too many is read, to be refused for that reason.
        self._parser: PushMultipartParser = multipart.PushMultipartParser(
            boundary, max_segment_count=MOST_FIELDS + 1, header_charset="latin-1"
        )
        self._body = body
        self._count = 0
        self._charset: str | None = None  # what the form says of its fields
        self._give_way = give_way_of(body)
        # The parser's events: a segment begins, some of its bytes, or None for its end.
        # The parser finds them lazily in the piece of the body that it was given.
        self._found: Iterator[_Event] = iter(())
        self._events: deque[_Event] = deque()
        self._current: MultipartSegment | None = None

    async def next_field(self) -> FormField | None:
        while await self._has_event():
            event = self._events.popleft()
            if event is None or isinstance(event, bytes | bytearray):
                continue  # left of the last field
            if self._count == MOST_FIELDS:
                self._events.appendleft(event)  # it is there the next time, too
                raise _too_many()
            self._count += 1
            self._current = event
            return await self._field_of(event)
        return None

    async def _field_of(self, segment: MultipartSegment) -> FormField:
        name = unescaped(segment.name)
        try:
            filename = filename_of(segment["Content-Disposition"], segment.filename)
        except ValueError:
            raise HTTPError(400, f"filename* of the field {name} is malformed") from None
        charset = segment.charset or self._charset
        pull = partial(self._piece_of, segment)
        field = FormField(name, filename, segment.content_type or None, pull, charset)
        if name == CHARSET_FIELD and not self._charset:
            value = await field.read(LONGEST_LABEL)
            self._charset = text_of(value)
            return FormField(name, filename, field.media_type, _once(value), charset)
        return field

    async def _piece_of(self, segment: MultipartSegment) -> bytes:
        """The next bytes of a field, which has to be the one that was given out last."""
        if self._current is segment and await self._has_event():
            event = self._events.popleft()
            if isinstance(event, bytes | bytearray):
                return bytes(event)
            self._current = None
        return b""

    async def _has_event(self) -> bool:
        while not self._events:
            # What is wrong is told after all that came before it, and every time.
            with suppress(self._malformed):
                self._events.extend(islice(self._found, EVENTS_AT_ONCE))
            if len(self._events) == EVENTS_AT_ONCE:
                await self._give_way()
            elif not self._events:
                if self._parser.error is not None:
                    raise HTTPError(400, "the multipart form is malformed or breaks off")
                if self._parser.closed:
                    return False
                self._found = self._parser.parse(await anext(self._body, b""))
        return True
