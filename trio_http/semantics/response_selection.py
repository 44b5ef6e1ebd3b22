"""What a client gets of a response, as the fields of its request ask for it (RFC 9110).

Each step is a function over values; ``select`` is their order. How the result is sent is
decided after that, in ``http1``.
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

# So many times what an encoder takes quickly is coded at once, before the head leaves,
# so that the head can tell the length; others wait for half a millisecond. More is streamed.
SETTLED = 4

# A partial answer is cut from a representation that has been chosen already;
# the others have no content.
_NEVER_CODED = WITHOUT_CONTENT | {206}

# What a 304 does not repeat: the client has it (RFC 9110 15.4.5).
_NOT_IN_304 = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Content-Type",
)

# The request's fields that have a say in what is selected.
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

# To look a member of an enumeration up costs as much as ten comparisons, up to Python 3.11.
_ALWAYS = Compress.ALWAYS


def select(request: Request, response: Response, behavior: Behavior, now: float) -> Response:
    """The response that suits the request: coded, confirmed or cut as its fields ask for."""
    body = response.body
    if (
        isinstance(body, bytes)
        and len(body) < behavior.compress_min_size
        and response.compress is not _ALWAYS
        and response.headers.names.isdisjoint(_VALIDATORS)
    ):
        return response  # as mostly: nothing in it can be had in another way
    if request.headers.names.isdisjoint(_SELECTING):
        response = offer(request, response, behavior)
    else:
        response = represent(request, response, behavior, now)
        if _has_validators(response) and request.method in {"GET", "HEAD"}:
            response = condition(request, response, now)
            response = partition(request, response, now)
    return settle(response) if isinstance(response.body, Encoded) else response


def offer(request: Request, response: Response, behavior: Behavior) -> Response:
    """The response as it is, telling what it could be had in.

    It is what ``represent``, ``condition`` and ``partition`` leave of it for a
    request that has nothing to say about that, in fewer looks.
    """
    headers = response.headers
    if may_be_coded(response, behavior):
        headers = varying(headers, "Accept-Encoding")
    if request.method in {"GET", "HEAD"}:
        headers = _with_parts(response, headers) or headers
    return response if headers is response.headers else response.replacing_headers(headers)


def represent(request: Request, response: Response, behavior: Behavior, now: float) -> Response:
    """The response in the content coding that suits the client (RFC 9110 12.5.3).

    What is coded cannot be cut. So where a range is asked for that can be had
    of the plain bytes, these are chosen: a download that broke off can then be
    resumed by clients that accept codings all the same.
    """
    if not may_be_coded(response, behavior):
        return response
    headers = varying(response.headers, "Accept-Encoding")
    accepted = request.headers.get("Accept-Encoding")
    coding = choose_coding(accepted)
    if coding is None and request.method in {"GET", "HEAD"} and response.status < 300:
        refusal = _refusal(request, HTTPError(406, "no acceptable content coding"))
        return refusal.replacing_headers(varying(refusal.headers, "Accept-Encoding"))
    # What tells of an error, or of something that was done, is told in any case.
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
    """The fields, saying that a request's field has had its part in them (RFC 9110 12.5.5)."""
    return _varying(headers.raw, name)


# The responses of a server have few fields that differ: what follows from some is kept.
@lru_cache(maxsize=1024)
def _varying(fields: RawFields, name: str) -> Headers:
    headers = Headers.received(fields)
    named = [member.lower() for member in list_of(headers.get("Vary") or "")]
    return headers if name.lower() in named or "*" in named else headers.adding("Vary", name)


def may_be_coded(response: Response, behavior: Behavior) -> bool:
    """Whether another client could have got the same response in another coding."""
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
    """Whether it is worth it to code what has these fields, or None where it is not allowed."""
    headers = Headers.received(fields)
    if not headers.names.isdisjoint(_OF_OTHER_BYTES):
        return None
    if "no-transform" in list_of((headers.get("Cache-Control") or "").lower()):
        return None
    return worth_coding(media_type_of(headers.get("Content-Type") or ""))


def worth_coding(media_type: str) -> bool:
    """Whether content of this type usually shrinks; images and archives do not."""
    return (
        media_type.startswith("text/")
        or media_type.endswith(("+json", "+xml"))
        or media_type in _WORTH_CODING
    )


def _has_validators(response: Response) -> bool:
    """Whether this is a representation whose states can be told apart."""
    return response.status == 200 and not response.headers.names.isdisjoint(_VALIDATORS)


def condition(request: Request, response: Response, now: float) -> Response:
    """The response, or what the request's preconditions make of it (RFC 9110 13)."""
    if request.headers.names.isdisjoint(PRECONDITIONS):
        return response  # as mostly
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
    """The part of the response that ``Range`` asks for, if any (RFC 9110 14.2)."""
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
    """The response's fields, saying that parts of it can be had, or None where they cannot."""
    if response.status != 200 or not can_be_cut(response.body):
        return None
    return _telling_parts(headers.raw)


@lru_cache(maxsize=1024)
def _telling_parts(fields: RawFields) -> Headers | None:
    headers = Headers.received(fields)
    # Without validators a client could not tell whether its parts belong together.
    has_none = headers.names.isdisjoint(_VALIDATORS)
    if has_none or (headers.get("Accept-Ranges") or "").lower() == "none":
        return None
    return headers.defaulting("Accept-Ranges", "bytes")


def parts_of(request: Request, response: Response, now: float) -> list[ByteRange] | None:
    """The ranges to be sent of this response, or None where it is all of it."""
    if b"range" not in request.headers.names:
        return None  # as mostly
    length = length_of(response.body)
    if length is None or _with_parts(response, response.headers) is None:
        return None
    return parts_in(request, length, State.of(response.headers, now), now)


def parts_in(request: Request, length: int, state: State, now: float) -> list[ByteRange] | None:
    """Return the ranges to be sent of something of this length and state, or None for all of it."""
    field = request.headers.get("Range")
    if request.method != "GET" or field is None:
        return None
    if not range_applies(request.headers, state, now):
        return None
    return parse_ranges(field, length)


def _refusal(request: Request, error: HTTPError) -> Response:
    return error_response(error, request.headers.get("Accept"))


def settle(response: Response) -> Response:
    """The response with a short body coded now, so that its length is known."""
    match response.body:
        case Encoded(bytes() as data, coding) if len(data) <= SETTLED * QUICK[coding]:
            return replace(response, body=encoded(data, coding))
        case _:
            return response
