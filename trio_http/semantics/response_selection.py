"""The representation of a response that a request's header fields select (RFC 9110).

Each step is a function over values; ``select`` defines their order. ``http1`` then decides how
the result is sent.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import lru_cache

from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Encoded, length_of
from trio_http.semantics.conditional import PRECONDITIONS, Outcome, State, evaluate, range_applies
from trio_http.semantics.content_coding import IDENTITY, QUICK, choose_coding, encoded
from trio_http.semantics.error_pages import error_response
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import list_of, media_type_of
from trio_http.semantics.headers import Headers, RawFields
from trio_http.semantics.ranges import ByteRange, can_be_cut, cut, multipart, parse_ranges
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.statuses import WITHOUT_CONTENT
from trio_http.semantics.validators import ETag

# Bodies of up to this many times ``QUICK`` are encoded at once, before the head is sent, so
# that the head can state the length; other tasks wait for half a millisecond. Larger bodies are
# encoded while they are sent.
SETTLED = 4

# A partial response is cut from a representation that has already been chosen; the other
# statuses have no content.
_NEVER_CODED = WITHOUT_CONTENT | {206}

# Fields that a 304 does not repeat, because the client has them (RFC 9110 15.4.5).
_NOT_IN_304 = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Content-Type",
)

# The request fields that affect the selection.
_SELECTING = {*PRECONDITIONS, b"accept-encoding", b"range"}

_OF_OTHER_BYTES = {b"content-encoding", b"content-range"}
_VALIDATORS = {b"etag", b"last-modified"}

_WORTH_CODING = {
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "application/wasm",
    "application/x-ndjson",
    "application/xml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
    "image/x-icon",
}

# Up to Python 3.11, looking up a member of an enumeration costs as much as ten comparisons.
_ALWAYS = Compress.ALWAYS


def select(request: Request, response: Response, behavior: Behavior, now: float) -> Response:
    """Return the response that suits the request: encoded, conditional or partial as requested."""
    body = response.body
    if (
        isinstance(body, bytes)
        and len(body) < behavior.compress_min_size
        and response.compress is not _ALWAYS
        and response.headers.names.isdisjoint(_VALIDATORS)
    ):
        return response  # the usual case: there is no other representation
    if request.headers.names.isdisjoint(_SELECTING):
        response = offer(request, response, behavior)
    else:
        response = represent(request, response, behavior, now)
        if _has_validators(response) and request.method in {"GET", "HEAD"}:
            response = condition(request, response, now)
            response = partition(request, response, now)
    return settle(response) if isinstance(response.body, Encoded) else response


def offer(request: Request, response: Response, behavior: Behavior) -> Response:
    """Return the response with only the fields added that state the alternatives.

    For a request without selecting fields, this equals ``represent``, ``condition`` and
    ``partition``, with fewer checks.
    """
    headers = response.headers
    if may_be_coded(response, behavior):
        headers = varying(headers, "Accept-Encoding")
    if request.method in {"GET", "HEAD"}:
        headers = _with_parts(response, headers) or headers
    return response if headers is response.headers else response.replacing_headers(headers)


def represent(request: Request, response: Response, behavior: Behavior, now: float) -> Response:
    """Return the response in the content coding that suits the client (RFC 9110 12.5.3).

    An encoded body cannot be cut. If the client requests a range and accepts identity, identity
    is chosen, so that a broken download can be resumed.
    """
    if not may_be_coded(response, behavior):
        return response
    headers = varying(response.headers, "Accept-Encoding")
    accepted = request.headers.get("Accept-Encoding")
    coding = choose_coding(accepted)
    if coding is None and request.method in {"GET", "HEAD"} and response.status < 300:
        refusal = _refusal(request, HTTPError(406, "no acceptable content coding"))
        return refusal.replacing_headers(varying(refusal.headers, "Accept-Encoding"))
    # Errors and the results of other methods are sent even if no coding is acceptable.
    if coding is None or coding == IDENTITY:
        return response.replacing_headers(headers)
    if parts_of(request, response, now) is not None and choose_coding(accepted, ()) == IDENTITY:
        return response.replacing_headers(headers)
    headers = headers.without("Content-Length").adding("Content-Encoding", coding)
    tag = ETag.parse(headers.get("ETag") or "")
    if tag is not None:
        headers = headers.replacing("ETag", str(tag.coded(coding)))
    return replace(response, headers=headers, body=Encoded(response.body, coding))


def varying(headers: Headers, name: str) -> Headers:
    """Return header fields whose ``Vary`` includes a request field (RFC 9110 12.5.5)."""
    return _varying(headers.raw, name)


# A server's responses have few different sets of fields, so the results are cached.
@lru_cache(maxsize=1024)
def _varying(fields: RawFields, name: str) -> Headers:
    headers = Headers.received(fields)
    named = [member.lower() for member in list_of(headers.get("Vary") or "")]
    return headers if name.lower() in named or "*" in named else headers.adding("Vary", name)


def may_be_coded(response: Response, behavior: Behavior) -> bool:
    """Return whether another client could have received this response in another coding."""
    length = length_of(response.body)
    too_short = 1 if response.compress is _ALWAYS else behavior.compress_min_size
    if (
        response.compress is Compress.NEVER
        or response.status in _NEVER_CODED
        or (length is not None and length < max(too_short, 1))
    ):
        return False
    gain = _gain_of(response.headers.raw)
    return gain is not None and (gain or response.compress is _ALWAYS)


@lru_cache(maxsize=1024)
def _gain_of(fields: RawFields) -> bool | None:
    """Return whether coding a body with these fields is worthwhile; None if it is not allowed."""
    headers = Headers.received(fields)
    if not headers.names.isdisjoint(_OF_OTHER_BYTES):
        return None
    if "no-transform" in list_of((headers.get("Cache-Control") or "").lower()):
        return None
    return worth_coding(media_type_of(headers.get("Content-Type") or ""))


def worth_coding(media_type: str) -> bool:
    """Return whether content of this type usually shrinks; images and archives do not."""
    return (
        media_type.startswith("text/")
        or media_type.endswith(("+json", "+xml"))
        or media_type in _WORTH_CODING
    )


def _has_validators(response: Response) -> bool:
    """Return whether this is a representation with an ``ETag`` or ``Last-Modified``."""
    return response.status == 200 and not response.headers.names.isdisjoint(_VALIDATORS)


def condition(request: Request, response: Response, now: float) -> Response:
    """Return the response, or the 304 or 412 that preconditions turn it into (RFC 9110 13)."""
    if request.headers.names.isdisjoint(PRECONDITIONS):
        return response  # the usual case
    state = State.of(response.headers, now)
    match evaluate(request.method, request.headers, state, now):
        case Outcome.NOT_MODIFIED:
            headers = response.headers
            for name in _NOT_IN_304:
                headers = headers.without(name)
            return Response(304, headers)
        case Outcome.FAILED:
            return _refusal(request, HTTPError(412))
        case _:
            return response


def partition(request: Request, response: Response, now: float) -> Response:
    """Return the part of the response that ``Range`` requests, if any (RFC 9110 14.2)."""
    length = length_of(response.body)
    headers = _with_parts(response, response.headers)
    if length is None or headers is None:
        return response
    ranges = parts_of(request, response, now)
    if ranges is None:
        return response.replacing_headers(headers)
    headers = headers.without("Content-Length")
    match ranges:
        case []:
            error = HTTPError(416, headers={"Content-Range": f"bytes */{length}"})
            return _refusal(request, error)
        case [part]:
            headers = headers.adding("Content-Range", part.content_range(length))
            return replace(response, status=206, headers=headers, body=cut(response.body, part))
        case _:
            boundary = secrets.token_hex(12)
            body = multipart(
                response.body, ranges, length, headers.get("Content-Type") or "", boundary
            )
            media_type = f"multipart/byteranges; boundary={boundary}"
            headers = headers.replacing("Content-Type", media_type)
            return replace(response, status=206, headers=headers, body=body)


def _with_parts(response: Response, headers: Headers) -> Headers | None:
    """Return the fields with ``Accept-Ranges``, or None if parts are not available."""
    if response.status != 200 or not can_be_cut(response.body):
        return None
    return _telling_parts(headers.raw)


@lru_cache(maxsize=1024)
def _telling_parts(fields: RawFields) -> Headers | None:
    headers = Headers.received(fields)
    # Without validators, a client could not check that its parts belong together.
    has_none = headers.names.isdisjoint(_VALIDATORS)
    if has_none or (headers.get("Accept-Ranges") or "").lower() == "none":
        return None
    return headers.defaulting("Accept-Ranges", "bytes")


def parts_of(request: Request, response: Response, now: float) -> list[ByteRange] | None:
    """Return the ranges of this response to send, or None for all of it."""
    if b"range" not in request.headers.names:
        return None  # the usual case
    length = length_of(response.body)
    if length is None or _with_parts(response, response.headers) is None:
        return None
    return parts_in(request, length, State.of(response.headers, now), now)


def parts_in(request: Request, length: int, state: State, now: float) -> list[ByteRange] | None:
    """Return the ranges to send of a body with this length and state, or None for all of it."""
    field = request.headers.get("Range")
    if request.method != "GET" or field is None:
        return None
    if not range_applies(request.headers, state, now):
        return None
    return parse_ranges(field, length)


def _refusal(request: Request, error: HTTPError) -> Response:
    return error_response(error, request.headers.get("Accept"))


def settle(response: Response) -> Response:
    """Return the response with a short body encoded now, so that its length is known."""
    match response.body:
        case Encoded(bytes() as data, coding) if len(data) <= SETTLED * QUICK[coding]:
            return replace(response, body=encoded(data, coding))
        case _:
            return response
