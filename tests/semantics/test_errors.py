"""What goes wrong between a client and us."""

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
