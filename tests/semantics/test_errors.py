"""What goes wrong between a client and us."""

from http import HTTPMethod, HTTPStatus

import pytest

from trio_http.semantics.errors import (
    METHODS,
    ClientDisconnected,
    HTTPError,
    not_allowed,
    reason_of,
)
from trio_http.semantics.headers import Headers

# Reasons


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, "OK"),
        (201, "Created"),
        (404, "Not Found"),
        # As RFC 9110 15.5 has them; http.HTTPStatus has older names before Python 3.13.
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (416, "Range Not Satisfiable"),
        (422, "Unprocessable Content"),
        (431, "Request Header Fields Too Large"),
        (505, "HTTP Version Not Supported"),
        (299, ""),
        (999, ""),
    ],
)
def test_reasons(status: int, expected: str) -> None:
    assert reason_of(status) == expected


@pytest.mark.parametrize("status", list(HTTPStatus))
def test_every_known_status_has_a_reason_that_fits_a_status_line(status: int) -> None:
    assert reason_of(status).isascii()
    assert reason_of(status).isprintable()
    assert reason_of(status)


# Errors


def test_an_error_is_a_status_a_detail_and_headers() -> None:
    error = HTTPError(405, "read only", {"Allow": "GET"})
    assert (error.status, error.detail) == (405, "read only")
    assert error.headers == Headers({"Allow": "GET"})
    assert error.args == (405, "read only")


def test_a_status_is_enough() -> None:
    error = HTTPError(404)
    assert (error.status, error.detail, error.headers) == (404, "", Headers())


def test_an_errors_headers_may_repeat_a_name() -> None:
    challenges = [("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Digest")]
    assert list(HTTPError(401, headers=challenges).headers) == challenges


def test_no_header_of_an_error_breaks_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="not a field value"):
        HTTPError(503, headers={"Retry-After": "1\r\nSet-Cookie: a=b"})


def test_a_client_that_left_is_told_nothing() -> None:
    assert not issubclass(ClientDisconnected, HTTPError)


# Methods


@pytest.mark.parametrize("method", list(HTTPMethod))
def test_all_methods_of_http_are_known(method: str) -> None:
    assert method in METHODS


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("DELETE", 405),
        ("TRACE", 405),
        # RFC 9110 9.1: 501 is for methods that are not known at all.
        ("PROPFIND", 501),
        ("BREW", 501),
        ("get", 501),  # 9.1: methods have a case
        ("", 501),
    ],
)
def test_what_is_not_allowed_is_unknown_everywhere_or_only_here(method: str, status: int) -> None:
    assert not_allowed(method, {"GET"}).status == status


# RFC 9110 15.5.6: a 405 has to tell what is allowed, and 10.2.1: maybe nothing is.
@pytest.mark.parametrize(
    ("allowed", "expected"), [({"POST", "GET", "HEAD"}, "GET, HEAD, POST"), (set(), "")]
)
def test_who_may_not_hears_what_may_be(allowed: set[str], expected: str) -> None:
    assert not_allowed("DELETE", allowed).headers == Headers({"Allow": expected})


def test_an_unknown_method_is_named() -> None:
    assert "BREW" in not_allowed("BREW", {"GET"}).detail
