"""Request methods, and the responses that list those that a resource supports."""

from __future__ import annotations

from collections.abc import Iterable

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response

# RFC 9110 9.1 and RFC 5789.
METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}


def allow_of(supported: Iterable[str]) -> dict[str, str]:
    """Return the header field ``Allow`` for a resource that supports these methods.

    GET implies HEAD (RFC 9110 9.3.2), and every resource supports OPTIONS.
    """
    methods = {*supported, "OPTIONS"}
    if "GET" in methods:
        methods.add("HEAD")
    return {"Allow": ", ".join(sorted(methods))}


def not_allowed(method: str, supported: Iterable[str]) -> HTTPError:
    """Return the error for a method that the resource does not support.

    405, with ``Allow`` (RFC 9110 15.5.6), for a method that exists; 501 for any other.
    """
    if method not in METHODS:
        return HTTPError(501, f"{method} is not a method that this server knows")
    return HTTPError(405, headers=allow_of(supported))


def options_response(request: Request, supported: Iterable[str]) -> Response:
    """Return the response to OPTIONS.

    The target ``*`` means the server as a whole, which has no list of methods (RFC 9110 9.3.7).
    """
    return Response(204, {} if request.path == "*" else allow_of(supported))
