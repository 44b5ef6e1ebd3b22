"""HTTP requests as values."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote_to_bytes

from trio_http.semantics.cookies import parse_cookies
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import media_type_of, parameter_of
from trio_http.semantics.forms import Form, form_of
from trio_http.semantics.headers import Headers, bytes_of, text_of
from trio_http.semantics.incoming_body import READ_LIMIT, IncomingBody, read_all, text_in
from trio_http.semantics.paths import normal_path, origin_form
from trio_http.semantics.query_parameters import Parameters


class Request:
    """The request passed to a handler.

    This is a plain slotted class, because one is made per exchange.

    Attributes:
        method: the method, in the case in which it was sent (RFC 9110 9.1).
        target: the request target as it was sent (RFC 9112 3.2). A target has many spellings,
            so routes, mounts and files use ``path``, and so should checks.
        path: the path of the target in its normal form (RFC 3986 6.2.2), without ``mount``.
            ``/%7Ebob/./a`` becomes ``/~bob/a``, but reserved characters stay escaped: for
            decoded segments see ``segments``.
        query_string: everything after the question mark, as it was sent; see ``query``.
        version: ``"1.0"`` or ``"1.1"``, the version whose rules apply. ``HTTP/1.2`` counts as
            1.1 (RFC 9110 2.5).
        body: the content, which can be read once; see ``read``, ``text``, ``json`` and
            ``form``.
        client: the address of the peer, which may be a proxy.
        scheme: ``"https"`` if the connection uses TLS, otherwise ``"http"``, even if clients
            reach a proxy in front of the server by TLS.
        mount: the path at which a router has mounted the app, or ``""``.
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
        self.method: str = method
        self.target: str = target
        self.version: str = version
        self._fields = headers
        self.body: IncomingBody = body
        self.client: str = client
        self.scheme: str = scheme
        self.mount: str = ""
        path = target if target.startswith("/") else origin_form(target)
        self.query_string: str = ""
        # Almost every target is a path in its normal form. These two tests take 30 ns.
        if "?" in path:
            path, _, self.query_string = path.partition("?")
        if "%" in path or "/." in path:
            path = normal_path(path)
        self.path: str = path

    @property
    def headers(self) -> Headers:
        """The header fields, found by name in any case."""
        fields = self._fields
        if isinstance(fields, bytes):
            fields = self._fields = Headers.parse(fields)  # few handlers need them
        return fields

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of ``path``; an escaped ``%2F`` does not separate segments.

        A decoded segment may contain slashes, NUL and ``..``: do not use it as a file name.
        """
        return tuple([decoded(segment) for segment in self.path[1:].split("/")])

    def below(self, mount: str) -> Request:
        """Return the request as seen by an app that is mounted at this path."""
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
        """The decoded parameters of the query.

        ``query["name"]`` raises ``KeyError`` if the client has left it out, which becomes a
        500; ``query.get("name")`` returns None.

        Raises:
            HTTPError: 400 for more than 1000 parameters.
        """
        return _parameters(self.query_string)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the client has sent (RFC 6265 5.4); a client can send any value.

        Raises:
            HTTPError: 400 for more than 500 cookies.
        """
        try:
            return parse_cookies("; ".join(self.headers.values("Cookie")))
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    @property
    def trailers(self) -> Headers:
        """The trailer fields (RFC 9110 6.5), which are empty until the body has been read."""
        return self.body.trailers

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """Return the whole body.

        A body can be read once, so a second call returns ``b""``. Stream large bodies instead:
        ``async for piece in request.body``.

        Args:
            limit: maximum size in bytes; 1 MiB by default.

        Raises:
            HTTPError: 413 for a larger body, 408 for a body that arrives too slowly, 400 for a
                malformed one.
            ClientDisconnected: the client left before the end of the body.
        """
        return await read_all(aiter(self.body), limit)

    async def text(self, limit: int = READ_LIMIT) -> str:
        """Return the whole body as text, decoded in the charset of ``Content-Type`` or else UTF-8.

        Args:
            limit: maximum size in bytes; 1 MiB by default.

        Raises:
            HTTPError: 400 if the body is not valid in the charset, 415 if the charset is
                unknown, or as for ``read``.
            ClientDisconnected: the client left before the end of the body.
        """
        charset = parameter_of(self.headers.get("Content-Type") or "", "charset") or "utf-8"
        return text_in(await self.read(limit), charset)

    async def json(self, limit: int = READ_LIMIT) -> Any:
        """Return the value of a JSON body (RFC 8259).

        It may be of any JSON type, so check that it is a dict before looking up keys. Other
        media types are rejected: a page of another site can make a browser send forms and texts
        to this server, but JSON only with the server's permission (Fetch, "CORS protocol").

        Args:
            limit: maximum size in bytes; 1 MiB by default. A megabyte of the worst kind takes
                0.15 s, in which no other task runs.

        Raises:
            HTTPError: 400 for malformed JSON, 415 for a ``Content-Type`` that is neither
                ``application/json`` nor ends in ``+json``, or as for ``read``.
            ClientDisconnected: the client left before the end of the body.
        """
        media_type = media_type_of(self.headers.get("Content-Type") or "")
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise HTTPError(415, "JSON is expected", {"Accept": "application/json"})
        raw = await self.read(limit)
        try:
            return _FROM_JSON.decode(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise HTTPError(400, "the body is not valid JSON") from None

    def form(self) -> Form:
        """Return the form in the body, to be read field by field.

        Do not await it: write ``async for field in request.form()``, or for a form without
        files, ``await request.form().values()``.

        Raises:
            HTTPError: 415 if the body is not a form. Reading the form raises 400 if it is
                malformed and 413 if it has more than 1000 fields.
        """
        return form_of(self.headers.get("Content-Type") or "", self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def _no_number(name: str) -> None:
    raise ValueError(f"not a JSON number: {name}")  # NaN and the infinities (RFC 8259 6)


def _finite(digits: str) -> float:
    """Return the number, or raise 400 if it is infinite, which JSON cannot represent."""
    number = float(digits)
    if math.isinf(number):
        raise HTTPError(400, "a number in the JSON is too large")
    return number


# ``json.loads`` would create a decoder for each text.
_FROM_JSON = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def _parameters(text: str) -> Parameters:
    try:
        return Parameters.parse(text)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def decoded(segment: str) -> str:
    """Return a percent-encoded text decoded; bytes that are not UTF-8 become surrogates."""
    return text_of(unquote_to_bytes(bytes_of(segment))) if "%" in segment else segment
