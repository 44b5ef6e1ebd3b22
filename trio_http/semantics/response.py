"""Responses as values."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from trio_http.semantics.bodies import Body, Pulse, Send, Stream
from trio_http.semantics.cookies import Cookie
from trio_http.semantics.events import KEEP_ALIVE, KEEP_ALIVE_AFTER, SendEvent
from trio_http.semantics.headers import NO_FIELDS, Fields, Headers, bytes_of

# The function of ``json`` would make one for each value.
_TO_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@lru_cache(maxsize=64)
def _content_type(media_type: str) -> Headers:
    return Headers([("Content-Type", media_type)])


def _with_content_type(headers: Fields, media_type: str) -> Headers:
    """Return these fields with a media type, unless one is among them."""
    if headers is NO_FIELDS:
        return _content_type(media_type)
    return Headers(headers).defaulting("Content-Type", media_type)


class Compress(Enum):
    """Whether a response may be sent in a content coding that the client accepts."""

    WORTHWHILE = "if its media type and size promise a gain"
    ALWAYS = "whatever it is"
    NEVER = "not at all"


# Frozen would say what is meant, but costs a dataclass three times as long to
# make, and one is made per exchange: responses are values by agreement.
@dataclass(slots=True, init=False)
class Response:
    """A status, fields and a body, to be sent once it is finished.

    ``headers`` takes pairs or a mapping as well. Framing (RFC 9112 6) and
    ``Date`` are the server's part. ``trailers``, asked when all of the body has
    left, gives the fields that come behind it: to clients that keep them
    (``TE: trailers``), and if the body's length was not known before.
    """

    status: int
    headers: Headers
    body: Body
    compress: Compress
    trailers: Callable[[], Fields] | None

    def __init__(
        self,
        status: int = 200,
        headers: Fields = NO_FIELDS,
        body: Body = b"",
        compress: Compress = Compress.WORTHWHILE,
        trailers: Callable[[], Fields] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.compress = compress
        self.trailers = trailers

    @classmethod
    def text(
        cls,
        text: str,
        status: int = 200,
        *,
        headers: Fields = NO_FIELDS,
        media_type: str = "text/plain; charset=utf-8",
        compress: Compress = Compress.WORTHWHILE,
    ) -> Response:
        """A text, in UTF-8."""
        body = text.encode("utf-8", "surrogateescape")
        return cls(status, _with_content_type(headers, media_type), body, compress)

    @classmethod
    def html(cls, markup: str, status: int = 200, *, headers: Fields = NO_FIELDS) -> Response:
        """A page, in UTF-8."""
        return cls.text(markup, status, headers=headers, media_type="text/html; charset=utf-8")

    @classmethod
    def json(cls, value: Any, status: int = 200, *, headers: Fields = NO_FIELDS) -> Response:
        """A value as JSON (RFC 8259), compact, in UTF-8; one that it cannot say raises."""
        text = _TO_JSON.encode(value)
        # What UTF-8 cannot say is a lone surrogate, which stands inside a string,
        # where Python's escape for it is JSON's too.
        body = text.encode("utf-8", "backslashreplace")
        return cls(status, _with_content_type(headers, "application/json"), body)

    @classmethod
    def redirect(cls, location: str, status: int = 303, *, headers: Fields = NO_FIELDS) -> Response:
        """Where to look instead; 303 has the client GET it (RFC 9110 15.4.4).

        Characters that have no place in a URI are escaped.
        """
        uri = quote(bytes_of(location), safe="/:?#[]@!$&'()*+,;=%~-._")
        return cls(status, Headers(headers).replacing("Location", uri))

    @classmethod
    def events(
        cls,
        produce: Callable[[SendEvent], Awaitable[None]],
        keep_alive: float = KEEP_ALIVE_AFTER,
        *,
        headers: Fields = NO_FIELDS,
    ) -> Response:
        """Events as they happen, until ``produce`` returns or the client goes away.

        ``produce`` is given ``send``, which takes a ``ServerSentEvent``. After
        ``keep_alive`` seconds without one, a comment keeps the connection alive;
        they must be more than 0, or ``ValueError``, and may be ``math.inf``.
        """

        async def run(send: Send) -> None:
            await produce(lambda event: send(bytes(event)))

        fields = Headers(headers).replacing("Content-Type", "text/event-stream")
        fields = fields.defaulting("Cache-Control", "no-cache")
        return cls(200, fields, Stream(run, pulse=Pulse(keep_alive, KEEP_ALIVE)))

    def with_cookie(self, cookie: Cookie) -> Response:
        """This response, setting a cookie as well."""
        return self.replacing_headers(self.headers.adding("Set-Cookie", str(cookie)))

    def with_header(self, name: str, value: str) -> Response:
        """This response with a field in place of all that have its name."""
        return self.replacing_headers(self.headers.replacing(name, value))

    def replacing_headers(self, headers: Headers) -> Response:
        """This response with these fields in place of all that it has."""
        return Response(self.status, headers, self.body, self.compress, self.trailers)
