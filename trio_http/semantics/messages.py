"""Requests as values."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote_to_bytes

from trio_http.semantics.cookies import parse_cookies
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import media_type_of, parameter_of
from trio_http.semantics.forms import Form, form_of
from trio_http.semantics.headers import Headers, bytes_of, text_of
from trio_http.semantics.incoming import READ_LIMIT, IncomingBody, read_all, text_in
from trio_http.semantics.parameters import Parameters
from trio_http.semantics.paths import normal_path, origin_form
from trio_http.semantics.response import Compress as Compress  # noqa: PLC0414 - for a while
from trio_http.semantics.response import Response as Response  # noqa: PLC0414 - for a while


class Request:
    """What a client asks for. A plain slotted class: one is made per exchange.

    ``version`` is ``"1.0"`` or ``"1.1"``, by whose rules the request was read: a
    client that says ``HTTP/1.2`` has sent a request of 1.1 (RFC 9110 2.5).
    ``target`` is the request target as it was sent (RFC 9112 3.2). ``path`` is its
    path in the normal form (RFC 3986 6.2.2: ``/%7Ebob/./a`` is ``/~bob/a``; reserved
    characters stay escaped), less ``mount``, the path at which a router has mounted
    this app. ``query_string`` is what follows the question mark, ``client`` the
    address of the client. ``scheme`` is ``https`` where the connection is TLS, and
    otherwise ``http``, also behind a proxy to which clients speak TLS.
    """

    __slots__ = (
        "_fields",
        "body",
        "client",
        "method",
        "mount",
        "path",
        "query_string",
        "scheme",
        "target",
        "version",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a request, in the order they arrive
        self,
        method: str,
        target: str,
        version: str,
        headers: Headers | bytes,
        body: IncomingBody,
        client: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self._fields = headers
        self.body = body
        self.client = client
        self.scheme = scheme
        self.mount = ""
        path = target if target.startswith("/") else origin_form(target)
        self.query_string = ""
        # Almost all targets are a path in its normal form: to see that costs 30 ns each time.
        if "?" in path:
            path, _, self.query_string = path.partition("?")
        if "%" in path or "/." in path:
            path = normal_path(path)
        self.path = path

    @property
    def headers(self) -> Headers:
        """The request's fields; lines as they were sent are taken apart on first use."""
        fields = self._fields
        if isinstance(fields, bytes):
            fields = self._fields = Headers.parse(fields)
        return fields

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's segments, split first and decoded after, so ``%2F`` never splits."""
        return tuple([decoded(segment) for segment in self.path[1:].split("/")])

    def below(self, mount: str) -> Request:
        """The same request as an app sees it that is mounted there."""
        request = Request(
            self.method,
            self.target,
            self.version,
            self._fields,
            self.body,
            self.client,
            self.scheme,
        )
        request.mount = self.mount + mount
        request.path = self.path.removeprefix(mount) or "/"
        return request

    @property
    def query(self) -> Parameters:
        """The query's parameters; more than a thousand are a 400."""
        return _parameters(self.query_string)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the client sent (RFC 6265 5.4); more than 500 are a 400."""
        try:
            return parse_cookies("; ".join(self.headers.values("Cookie")))
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, once it has been read (RFC 9110 6.5)."""
        return self.body.trailers

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """The whole body at once; one of more than ``limit`` bytes is a 413."""
        return await read_all(aiter(self.body), limit)

    async def text(self, limit: int = READ_LIMIT) -> str:
        """The whole body as text, in the charset that it names, or UTF-8.

        What is no such text is a 400, an unknown charset a 415.
        """
        charset = parameter_of(self.headers.get("Content-Type") or "", "charset") or "utf-8"
        return text_in(await self.read(limit), charset)

    async def json(self, limit: int = READ_LIMIT) -> Any:
        """The value that the body holds as JSON (RFC 8259), which is in UTF-8.

        Malformed JSON is a 400, and what does not call itself JSON a 415: a
        page of somebody else's can have a browser send forms, texts and data
        of no type here, but JSON only with our permission (Fetch, "CORS protocol").
        """
        media_type = media_type_of(self.headers.get("Content-Type") or "")
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise HTTPError(415, "JSON is expected", {"Accept": "application/json"})
        raw = await self.read(limit)
        try:
            return _FROM_JSON.decode(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise HTTPError(400, "the body is no JSON") from None

    def form(self) -> Form:
        """The form in the body, field by field, files as streams; 415 for anything else."""
        return form_of(self.headers.get("Content-Type") or "", self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def _no_number(name: str) -> None:
    raise ValueError(f"no number in JSON: {name}")  # NaN and the infinities (RFC 8259 6)


def _finite(digits: str) -> float:
    """Return the number, unless it is larger than any that can be sent back."""
    number = float(digits)
    if math.isinf(number):
        raise HTTPError(400, "a number in the JSON is too large")
    return number


# The functions of ``json`` would make one for each text.
_FROM_JSON = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def _parameters(text: str) -> Parameters:
    try:
        return Parameters.parse(text)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def decoded(segment: str) -> str:
    """A percent-encoded text in clear; what is no UTF-8 survives as surrogates."""
    return text_of(unquote_to_bytes(bytes_of(segment))) if "%" in segment else segment
