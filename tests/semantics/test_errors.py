"""Tests of the errors of an exchange."""

from http import HTTPStatus

import pytest

from trio_http.semantics.errors import (
    ClientDisconnected,
    HTTPError,
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
        # As in RFC 9110 15.5; http.HTTPStatus has older names before Python 3.13.
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
def test_reason_of_returns_the_phrase_of_the_rfc(status: int, expected: str) -> None:
    assert reason_of(status) == expected


@pytest.mark.parametrize("status", list(HTTPStatus))
def test_every_known_status_has_a_printable_reason(status: int) -> None:
    assert reason_of(status).isascii()
    assert reason_of(status).isprintable()
    assert reason_of(status)


# Errors


def test_error_keeps_status_detail_and_headers() -> None:
    error = HTTPError(405, "read only", {"Allow": "GET"})
    assert (error.status, error.detail) == (405, "read only")
    assert error.headers == Headers({"Allow": "GET"})
    assert error.args == (405, "read only")


def test_detail_and_headers_are_empty_by_default() -> None:
    error = HTTPError(404)
    assert (error.status, error.detail, error.headers) == (404, "", Headers())


def test_headers_of_an_error_may_repeat_a_name() -> None:
    challenges = [("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Digest")]
    assert list(HTTPError(401, headers=challenges).headers) == challenges


def test_line_break_in_a_header_raises_value_error() -> None:
    with pytest.raises(ValueError, match="not a field value"):
        HTTPError(503, headers={"Retry-After": "1\r\nSet-Cookie: a=b"})


def test_client_disconnected_is_not_an_http_error() -> None:
    assert not issubclass(ClientDisconnected, HTTPError)
