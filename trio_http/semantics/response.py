"""HTTP responses as values."""

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
from trio_http.semantics.headers import NO_FIELDS, Fields, Headers, bytes_of
from trio_http.semantics.server_sent_events import KEEP_ALIVE, KEEP_ALIVE_AFTER, SendEvent

# ``json.dumps`` would create an encoder for each value.
_TO_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@lru_cache(maxsize=64)
def _content_type(media_type: str) -> Headers:
    return Headers([("Content-Type", media_type)])


def _typed(headers: Fields, media_type: str) -> Headers:
    """Return these header fields, with a Content-Type added if there is none.

    Most responses have no other fields and skip this call.
    """
    return Headers(headers).defaulting("Content-Type", media_type)


class Compress(Enum):
    """Controls whether a response may be sent in a content coding that the client accepts."""

    WORTHWHILE = "if media type and size promise a gain"
    ALWAYS = "for any media type and size"
    NEVER = "never"


# A frozen dataclass would state the intent, but takes three times as long to make, and one
# response is made per exchange. By convention, responses are not changed: ``with_header`` makes
# a new one.
@dataclass(slots=True, init=False)
class Response:
    """A status code, header fields and a body, returned by a handler.

    The server adds what every response needs: ``Content-Length`` or ``Transfer-Encoding`` (RFC
    9112 6) and ``Date``. It also handles ``Range`` and conditional requests, and chooses a
    content coding. For common kinds of content use ``text``, ``html``, ``json``, ``redirect``
    and ``events``, which set ``Content-Type``; ``Response(200, body=b"...")`` sends none, so a
    browser has to guess.

    Args:
        status: the status code.
        headers: the header fields, as pairs or a mapping. Repeated fields, such as two
            ``Set-Cookie``, need pairs.
        body: the content. Text must be encoded, or sent by ``text``.
        compress: whether a content coding may be applied (RFC 9110 8.4).
        trailers: called after the body has been sent; returns the trailer fields. They are sent
            only to clients that send ``TE: trailers``, and only after bodies whose length was
            not known in advance (RFC 9110 6.5).

    Raises:
        ValueError: a header field has a malformed name or value, such as one with a line break.
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
        """Return a response with a text, encoded as UTF-8.

        Browsers show markup in it as source text; for a page, use ``html``.

        Args:
            text: the content. No line break is added.
            status: the status code.
            headers: further header fields. A ``Content-Type`` among them overrides
                ``media_type``.
            media_type: the value of ``Content-Type``. Its charset, if any, must be UTF-8.
            compress: whether a content coding may be applied.

        Raises:
            ValueError: a header field is malformed.
        """
        body = text.encode("utf-8", "surrogateescape")
        fields = _content_type(media_type) if headers is NO_FIELDS else _typed(headers, media_type)
        return cls(status, fields, body, compress)

    @classmethod
    def html(cls, markup: str, status: int = 200, *, headers: Fields = NO_FIELDS) -> Response:
        """Return a response with an HTML page, encoded as UTF-8.

        Nothing is escaped: pass text that a client has sent through ``html.escape`` first.

        Args:
            markup: the page.
            status: the status code.
            headers: further header fields.

        Raises:
            ValueError: a header field is malformed.
        """
        return cls.text(markup, status, headers=headers, media_type="text/html; charset=utf-8")

    @classmethod
    def json(cls, value: Any, status: int = 200, *, headers: Fields = NO_FIELDS) -> Response:
        """Return a response with a value as JSON (RFC 8259), compact and encoded as UTF-8.

        Dates, sets, bytes and dataclasses are not JSON values: convert them first.

        Args:
            value: any value that ``json.dumps`` accepts, except NaN and infinities.
            status: the status code.
            headers: further header fields. A ``Content-Type`` among them, such as
                ``application/problem+json``, overrides ``application/json``.

        Raises:
            TypeError: a value has no JSON type.
            ValueError: the value contains NaN, an infinity or itself, or a header field is
                malformed.
        """
        text = _TO_JSON.encode(value)
        # UTF-8 cannot encode lone surrogates. They occur only inside strings, where Python's
        # escape for them is also JSON's.
        body = text.encode("utf-8", "backslashreplace")
        kind = "application/json"
        fields = _content_type(kind) if headers is NO_FIELDS else _typed(headers, kind)
        return cls(status, fields, body)

    @classmethod
    def redirect(cls, location: str, status: int = 303, *, headers: Fields = NO_FIELDS) -> Response:
        """Return a response that redirects the client.

        With the default status, a client that sent a POST continues with a GET
        (RFC 9110 15.4.4). For a resource that has moved permanently, use 308: clients repeat
        the same request, and remember the new location.

        Args:
            location: a URI, or a reference relative to the request's (RFC 9110 10.2.2).
                Characters that URIs cannot contain are escaped. If a client has chosen it,
                check first that it does not lead to another site.
            status: the status code.
            headers: further header fields.

        Raises:
            ValueError: a header field is malformed.
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
        """Return a response that sends server-sent events as they happen (HTML 9.2).

        The response ends when ``produce`` returns. If the client has left, the next event or
        comment shows it: ``send`` raises ``ClientDisconnected``, or ``produce`` is cancelled.
        Release resources in ``with`` or ``finally`` therefore. A browser reconnects whenever
        the response ends: to tell the page that no more events will follow, send an event with
        a special name.

        Args:
            produce: called with ``send``, an async function that sends a ``ServerSentEvent``
                and returns when the client has room for more.
            keep_alive: seconds without an event after which a comment is sent, so that proxies
                keep the connection open; ``math.inf`` sends none.
            headers: further header fields. ``Cache-Control`` is ``no-cache`` by default.

        Raises:
            ValueError: ``keep_alive`` is not positive, or a header field is malformed.
        """

        async def run(send: Send) -> None:
            await produce(lambda event: send(bytes(event)))

        fields = Headers(headers).replacing("Content-Type", "text/event-stream")
        fields = fields.defaulting("Cache-Control", "no-cache")
        return cls(200, fields, Stream(run, pulse=Pulse(keep_alive, KEEP_ALIVE)))

    def with_cookie(self, cookie: Cookie) -> Response:
        """Return a copy of this response with one more ``Set-Cookie`` field (RFC 6265 4.1).

        This response does not change: return the copy.
        """
        return self.replacing_headers(self.headers.adding("Set-Cookie", str(cookie)))

    def with_header(self, name: str, value: str) -> Response:
        """Return a copy of this response with a header field, replacing all of the same name.

        This response does not change: return the copy. To repeat a field, see ``with_cookie``
        and ``Headers.adding``.

        Raises:
            ValueError: the name or the value is malformed (RFC 9110 5.1, 5.5).
        """
        return self.replacing_headers(self.headers.replacing(name, value))

    def replacing_headers(self, headers: Headers) -> Response:
        """Return a copy of this response with these header fields in place of all others.

        This drops even ``Content-Type`` unless it is among them: ``with_header`` keeps the
        others.
        """
        return Response(self.status, headers, self.body, self.compress, self.trailers)
