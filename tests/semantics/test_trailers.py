"""Fields behind a body: which are believed, which may be sent, and to whom."""

from typing import Any

import pytest

from trio_http.semantics.bodies import Send, Stream
from trio_http.semantics.fields import MOST_SEPARATORS
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.messages import Request, Response
from trio_http.semantics.trailers import addressed, asked_for, believed

NO_BODY: Any = None  # nobody reads it here

# RFC 9110 6.5.1: framing, routing, authentication, and what content is.
TOO_LATE = [
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]


def asked(*te: str, method: str = "GET", version: str = "1.1") -> Request:
    return Request(method, "/", version, Headers([("TE", value) for value in te]), NO_BODY)


async def produce(send: Send) -> None:
    raise NotImplementedError


def summed(status: int = 200, headers: Fields = ()) -> Response:
    return Response(status, headers, Stream(produce), trailers=lambda: {"X-Sum": "1"})


@pytest.mark.parametrize("name", TOO_LATE)
def test_what_comes_too_late_is_not_believed(name: str) -> None:
    received = [(b"A", b"1"), (name.swapcase().encode(), b"x"), (b"a", b"2")]
    assert believed(received).raw == ((b"A", b"1"), (b"a", b"2"))


@pytest.mark.parametrize(
    "request_",
    [
        asked("trailers"),
        asked("Trailers"),
        asked("gzip;q=0.5, trailers"),
        asked("gzip", "trailers"),
        asked("trailers", method="POST"),
    ],
)
def test_trailers_are_for_those_who_keep_them(request_: Request) -> None:
    response = summed()
    assert addressed(request_, response) is response


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (asked(), summed()),
        (asked("gzip"), summed()),
        (asked("x-trailers"), summed()),
        (asked("trailers" + ",a" * (MOST_SEPARATORS + 1)), summed()),  # an overlong list
        (asked("trailers", version="1.0"), summed()),  # there are no chunks
        (asked("trailers", method="HEAD"), summed()),  # there is no body
        (asked("trailers"), summed(204)),
        (asked("trailers"), summed(304)),
        (asked("trailers"), summed(200, {"content-length": "5"})),  # nor are there chunks here
    ],
)
def test_trailers_are_for_nobody_else(request_: Request, response: Response) -> None:
    sent = addressed(request_, response)
    assert sent.trailers is None
    assert sent == Response(response.status, response.headers, response.body)


def test_a_response_without_trailers_stays_as_it_is() -> None:
    response = Response(200)
    assert addressed(asked(), response) is response
    assert addressed(asked("trailers"), response) is response
    assert asked_for(response) == Headers()


def test_trailers_are_made_when_they_are_asked_for() -> None:
    sums: list[int] = []
    response = Response(200, trailers=lambda: [("X-Sum", str(sum(sums))), ("X-Sum", "b")])
    sums += [1, 2]
    assert asked_for(response) == Headers([("X-Sum", "3"), ("X-Sum", "b")])


@pytest.mark.parametrize("name", [*TOO_LATE, "transfer-encoding", "HOST"])
def test_what_would_come_too_late_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=f"not a field for behind the body: {name}"):
        asked_for(Response(200, trailers=lambda: {"X-Sum": "1", name: "x"}))


@pytest.mark.parametrize("trailers", [{"X-Sum": "1\r\nHost: x"}, {"X-Sum:": "1"}, {"": ""}])
def test_what_is_no_field_is_no_trailer(trailers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a field"):
        asked_for(Response(200, trailers=lambda: trailers))
