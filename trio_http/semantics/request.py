"""Requests as values."""

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
    """A request, as a handler is given it.

    This is a plain slotted class, because one is made per exchange.

    Attributes:
        method: the method, in the case in which it was sent (RFC 9110 9.1).
        target: the request target as it was sent (RFC 9112 3.2). Routes, mounts and files go
            by ``path``, and so should checks: a target has many spellings.
        path: the path of the target in its normal form (RFC 3986 6.2.2), less ``mount``.
            ``/%7Ebob/./a`` is ``/~bob/a``, but reserved characters stay escaped: for
            decoded segments see ``segments``.
        query_string: everything after the question mark, as it was sent; see ``query``.
        version: ``"1.0"`` or ``"1.1"``, the version whose rules apply. A client that sends
            ``HTTP/1.2`` has sent a request of 1.1 (RFC 9110 2.5).
        body: the content, to be read once; see ``read``, ``text``, ``json`` and ``form``.
        client: the address of the other end of the connection, which may be a proxy.
        scheme: ``"https"`` if the connection is TLS, otherwise ``"http"``, even behind a
            proxy that clients reach by TLS.
        mount: the path at which a router has mounted the app, or an empty text.
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
        # Almost every target is a path in its normal form. These two looks take 30 ns.
        if "?" in path:
            path, _, self.query_string = path.partition("?")
        if "%" in path or "/." in path:
            path = normal_path(path)
        self.path: str = path

    @property
    def headers(self) -> Headers:
        """The header fields; ``get`` finds a name in any case."""
        fields = self._fields
        if isinstance(fields, bytes):
            fields = self._fields = Headers.parse(fields)  # only now, because few handlers look
        return fields

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of ``path``, in which an escaped ``%2F`` separates nothing.

        A decoded segment may contain slashes, NUL and ``..``: do not make a file name of it.
        """
        return tuple([decoded(segment) for segment in self.path[1:].split("/")])

    def below(self, mount: str) -> Request:
        """Return the request as an app sees it that is mounted at this path."""
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
        """The parameters of the query, decoded.

        ``query["name"]`` raises ``KeyError``, which is a 500; ``query.get("name")`` gives
        None if the client has left it out.

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

        A second call returns nothing, because a body can be read once. What may be large
        should be streamed: ``async for piece in request.body``.

        Args:
            limit: bytes that are taken at most; 1 MiB unless given.

        Raises:
            HTTPError: 413 for a larger body, 408 for one that comes too slowly, 400 for one
                that is malformed.
            ClientDisconnected: the client left before the end of the body.
        """
        return await read_all(aiter(self.body), limit)

    async def text(self, limit: int = READ_LIMIT) -> str:
        """Return the whole body as a text, in the charset of ``Content-Type`` or in UTF-8.

        Args:
            limit: bytes that are taken at most; 1 MiB unless given.

        Raises:
            HTTPError: 400 if the body is not valid in the charset, 415 if the charset is
                unknown, or as for ``read``.
            ClientDisconnected: the client left before the end of the body.
        """
        charset = parameter_of(self.headers.get("Content-Type") or "", "charset") or "utf-8"
        return text_in(await self.read(limit), charset)

    async def json(self, limit: int = READ_LIMIT) -> Any:
        """Return the value in the body, which is JSON (RFC 8259).

        It may be of any JSON type, so check that it is a dict before you look into it.
        Other media types are refused: a page of another site can make a browser send forms
        and texts to this server, but JSON only with its permission (Fetch, "CORS protocol").

        Args:
            limit: bytes that are taken at most; 1 MiB unless given. A megabyte of the worst
                kind takes 0.15 s, in which no other task runs.

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

        It is not awaited: ``async for field in request.form()``, or for a form without
        files, ``await request.form().values()``.

        Raises:
            HTTPError: 415 if the body is not a form; while it is read, 400 for a malformed
                one and 413 for one of more than 1000 fields.
        """
        return form_of(self.headers.get("Content-Type") or "", self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


def _no_number(name: str) -> None:
    raise ValueError(f"no number in JSON: {name}")  # NaN and the infinities (RFC 8259 6)


def _finite(digits: str) -> float:
    """Return the number; one that would be infinite could not be sent back as JSON."""
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
    """Return a percent-encoded text decoded; bytes that are not UTF-8 become surrogates."""
    return text_of(unquote_to_bytes(bytes_of(segment))) if "%" in segment else segment
