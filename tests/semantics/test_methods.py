"""Tests of the known methods and of the responses that list supported ones."""

from http import HTTPMethod

import pytest
from support import NO_BODY

from trio_http.semantics.headers import Headers
from trio_http.semantics.methods import METHODS, not_allowed, options_response
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response


@pytest.mark.parametrize("method", list(HTTPMethod))
def test_all_methods_of_http_are_known(method: str) -> None:
    assert method in METHODS


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("DELETE", 405),
        ("TRACE", 405),
        # RFC 9110 9.1: 501 is for unknown methods.
        ("PROPFIND", 501),
        ("BREW", 501),
        ("get", 501),  # 9.1: methods are case-sensitive
        ("", 501),
    ],
)
def test_unsupported_method_gets_405_and_unknown_method_501(method: str, status: int) -> None:
    assert not_allowed(method, {"GET"}).status == status


ALLOW = [
    ({"POST", "GET", "HEAD"}, "GET, HEAD, OPTIONS, POST"),
    ({"GET"}, "GET, HEAD, OPTIONS"),  # RFC 9110 9.3.2
    ({"PUT"}, "OPTIONS, PUT"),
    (set(), "OPTIONS"),
]


# RFC 9110 15.5.6: a 405 must list the supported methods.
@pytest.mark.parametrize(("supported", "expected"), ALLOW)
def test_405_names_the_supported_methods(supported: set[str], expected: str) -> None:
    assert not_allowed("DELETE", supported).headers == Headers({"Allow": expected})


@pytest.mark.parametrize(("supported", "expected"), ALLOW)
def test_options_names_the_supported_methods(supported: set[str], expected: str) -> None:
    request = Request("OPTIONS", "/a", "1.1", Headers(), NO_BODY)
    assert options_response(request, supported) == Response(204, {"Allow": expected})


def test_options_for_the_whole_server_names_no_methods() -> None:
    request = Request("OPTIONS", "*", "1.1", Headers(), NO_BODY)
    assert options_response(request, {"GET"}) == Response(204)


def test_501_names_the_method() -> None:
    assert "BREW" in not_allowed("BREW", {"GET"}).detail
