"""Forms while they are being received, field by field, with files as streams.

The library ``multipart``, which neither buffers nor blocks, parses ``multipart/form-data`` (RFC
7578).

Names are UTF-8; bytes that are not valid UTF-8 become surrogates. Values are bytes. Their text
is decoded in the charset that their part names, or else in that of the field ``_charset_`` (RFC
7578 4.6), or else in UTF-8.
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
from trio_http.semantics.field_values import media_type_of, parameter_of
from trio_http.semantics.form_field import FormField, Pull, decoded_value
from trio_http.semantics.headers import text_of
from trio_http.semantics.incoming_body import READ_LIMIT, IncomingBody, give_way_of, read_all
from trio_http.semantics.query_parameters import MOST, Parameters

if TYPE_CHECKING:
    from multipart import MultipartSegment, PushMultipartParser

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"

# The maximum number of fields in a form; no real form has as many.
MOST_FIELDS = 1000

# Other tasks run after each step of parsing a form. A step takes up to a millisecond: decoding
# an escape takes a quarter of a microsecond, making a field five, and parsing the header fields
# of a part ten.
AT_ONCE = 8 * 1024  # bytes of an urlencoded form in a step
BESIDE = 64  # bytes whose decoding takes as long as making a field
EVENTS_AT_ONCE = 16  # events of the parser in a step: a part has at least two

# The field that names the charset of the others (HTML, "constructing the entry list"), and the
# maximum bytes of its value, which is longer than any label.
CHARSET_FIELD, _LONGEST_LABEL = "_charset_", 100

# RFC 2046 5.1.1 has this maximum length, but allows fewer characters than some clients send.
_BOUNDARY = re.compile(r"[ -~]{0,69}[!-~]")

_Event: TypeAlias = "MultipartSegment | bytes | bytearray | None"


class Form:
    """The fields of a form, received one after the other: ``async for field in form``.

    They can be read once, in the order in which the client sent them.
    """

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
        """Return all fields as text, for forms without files.

        ``_charset_`` also applies to the fields before it.

        Args:
            limit: maximum size of all values together in bytes; 1 MiB by default.

        Raises:
            HTTPError: 413 for larger values or more than 1000 fields, 400 for a malformed form
                or a value that is not valid in its charset, 415 for an unknown charset.
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
        return Parameters([(field.name, decoded_value(field, value)) for field, value in fields])


def form_of(content_type: str, body: IncomingBody) -> Form:
    """Return the form in a body, in either of HTML's encodings; raise 415 for any other body."""
    match media_type_of(content_type):
        case "application/x-www-form-urlencoded":
            return Form(_Urlencoded(body, parameter_of(content_type, "charset")).next_field)
        case "multipart/form-data":
            return Form(_Multipart(body, content_type).next_field)
        case _:
            raise HTTPError(415, "a form is expected", {"Accept": f"{URLENCODED}, {MULTIPART}"})


class _Urlencoded:
    """Reads an urlencoded form whole, because it is small, and decodes it field by field."""

    def __init__(self, body: IncomingBody, charset: str | None) -> None:
        self._body = body
        self._charset = charset  # not defined for this media type, but some clients send it
        self._give_way = give_way_of(body)
        self._rest: Iterator[bytes] | None = None
        self._work = 0  # bytes decoded since other tasks ran, plus ``BESIDE`` per field

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
    """Return the charset that the form's ``_charset_`` field names, or None."""
    start = f"{CHARSET_FIELD}=".encode()
    values = (pair[len(start) :] for pair in pairs if pair.startswith(start))
    label = next(filter(None, values), b"")[:_LONGEST_LABEL]
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
    """Yield the decoded form of an urlencoded text, for up to ``AT_ONCE`` bytes at a time."""
    start = 0
    while start < len(raw):
        end = start + AT_ONCE
        # An escape that may be incomplete belongs to the next piece.
        escape = raw.rfind(b"%", end - 2, end)
        end = end if escape < 0 else escape
        yield unquote_to_bytes(raw[start:end].replace(b"+", b" "))
        start = end


class _Multipart:
    """Reads the fields of a multipart form, as the parser finds them in the body."""

    def __init__(self, body: IncomingBody, content_type: str) -> None:
        import multipart  # noqa: PLC0415 - not needed by most programs

        boundary = parameter_of(content_type, "boundary") or ""
        if not _BOUNDARY.fullmatch(boundary):
            raise HTTPError(400, "the multipart form has no valid boundary")
        self._malformed = multipart.MultipartError
        # In latin-1 every byte is a character, so bytes that are not UTF-8 are kept. The parser
        # accepts one field too many, which ``next_field`` rejects with the right error.
        self._parser: PushMultipartParser = multipart.PushMultipartParser(
            boundary, max_segment_count=MOST_FIELDS + 1, header_charset="latin-1"
        )
        self._body = body
        self._count = 0
        self._charset: str | None = None  # named by the form's field ``_charset_``
        self._give_way = give_way_of(body)
        # Events of the parser: the start of a segment, some of its bytes, or None for its end.
        # The parser finds them lazily in the current piece of the body.
        self._found: Iterator[_Event] = iter(())
        self._events: deque[_Event] = deque()
        self._current: MultipartSegment | None = None

    async def next_field(self) -> FormField | None:
        while await self._has_event():
            event = self._events.popleft()
            if event is None or isinstance(event, bytes | bytearray):
                continue  # the unread rest of the last field
            if self._count == MOST_FIELDS:
                self._events.appendleft(event)  # for the next call
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
            value = await field.read(_LONGEST_LABEL)
            self._charset = text_of(value)
            return FormField(name, filename, field.media_type, _once(value), charset)
        return field

    async def _piece_of(self, segment: MultipartSegment) -> bytes:
        """Return the next bytes of a field, or none if the next field has been requested."""
        if self._current is segment and await self._has_event():
            event = self._events.popleft()
            if isinstance(event, bytes | bytearray):
                return bytes(event)
            self._current = None
        return b""

    async def _has_event(self) -> bool:
        while not self._events:
            # The parser raises its error after all events before it, and again on each further
            # call.
            with suppress(self._malformed):
                self._events.extend(islice(self._found, EVENTS_AT_ONCE))
            if len(self._events) == EVENTS_AT_ONCE:
                await self._give_way()
            elif not self._events:
                if self._parser.error is not None:
                    raise HTTPError(400, "the multipart form is malformed or incomplete")
                if self._parser.closed:
                    return False
                self._found = self._parser.parse(await anext(self._body, b""))
        return True
