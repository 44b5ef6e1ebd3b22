"""A request and its response, as an app sees them."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import trio

from trio_http.http1.exchange import (
    App,
    Exchange,
    answering,
    closing,
    dress,
)
from trio_http.http1.record import Event, Failure
from trio_http.semantics.bodies import Send, Stream
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Request, Response
from trio_http.testing import open_client

WITHOUT_DATE = Limits(date=False)


def keeping(requests: list[Request]) -> App:
    """An app that notes what it is asked."""

    @answering
    async def app(request: Request) -> Response:
        requests.append(request)
        return Response.text("here you are")

    return app


async def test_a_request_is_what_was_sent() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        await client.send(
            b"M-SEARCH /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-A:  b c \r\nx-a: \xff\r\n\r\n"
        )
        await client.answer()
    (request,) = requests
    assert (request.method, request.target, request.version) == ("M-SEARCH", "/a%20b?c=d", "1.1")
    assert request.headers.raw == ((b"Host", b"x"), (b"X-A", b"b c"), (b"x-a", b"\xff"))
    assert request.client == "local"


async def test_a_body_is_pulled_piece_by_piece() -> None:
    arrived, pieces = trio.Event(), []

    @answering
    async def app(request: Request) -> Response:
        async for piece in request.body:
            pieces.append(piece)
            arrived.set()
        # Its end stays its end.
        assert [piece async for piece in request.body] == []
        return Response(204)

    async with open_client(app) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        await arrived.wait()
        assert pieces == [b"hello"]
        await client.send(b"again")
        assert (await client.answer()).status == 204
    assert b"".join(pieces) == b"helloagain"


async def test_trailers_are_there_after_the_last_piece() -> None:
    @answering
    async def app(request: Request) -> Response:
        before = request.body.trailers
        await request.read()
        return Response.text(f"{len(before)} {request.body.trailers['X-Sum']}")

    async with open_client(app) as client:
        chunked = {"Transfer-Encoding": "chunked"}
        answer = await client.request("PUT", "/", chunked, b"2\r\nhi\r\n0\r\nX-Sum: 2\r\n\r\n")
        assert answer.body == b"0 2"


async def test_a_request_without_a_body_has_an_empty_one() -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text(repr(await request.read()))

    async with open_client(app) as client:
        assert (await client.get("/")).body == b"b''"


async def test_a_handler_answers_with_what_it_returns() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests), limits=WITHOUT_DATE) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await client.rest() == (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 12\r\n"
            b"Connection: close\r\n\r\n"
            b"here you are"
        )


async def test_a_response_is_finished_on_its_way_out() -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text("hello " * 1000)

    async with open_client(app) as client:
        answer = await client.get("/", {"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"


async def test_responding_returns_when_the_response_has_left() -> None:
    async def app(exchange: Exchange) -> None:
        resource = ["open"]

        async def produce(send: Send) -> None:
            await send(resource[0].encode())

        responses.append(exchange.response)
        await exchange.respond(Response(203, body=Stream(produce)))
        resource.clear()
        responses.append(exchange.response)

    responses: list[Response | None] = []
    async with open_client(app) as client:
        assert (await client.get("/")).body == b"open"
        await client.get("/")
    before, after, *_ = responses
    assert before is None
    assert after is not None
    assert after.status == 203


async def test_there_is_one_response_to_a_request() -> None:
    errors = []

    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response.text("first"))
        for late in (exchange.respond(Response(500)), exchange.inform(103)):
            with pytest.raises(RuntimeError) as error:
                await late
            errors.append(str(error.value))

    async with open_client(app) as client:
        for _ in range(2):  # and the connection is none the worse for it
            assert (await client.get("/")).body == b"first"
    assert errors == ["this exchange has its response already"] * 4


# Interim responses


async def hinting(exchange: Exchange) -> None:
    await exchange.inform(103, [("Link", "</a.css>"), ("Link", "</b.css>")])
    await exchange.inform(102)
    await exchange.respond(Response(204))


async def test_interim_responses_come_first() -> None:
    async with open_client(hinting, limits=WITHOUT_DATE) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await client.rest() == (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n"
            b"HTTP/1.1 102 Processing\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        )


async def test_clients_of_http_1_0_get_no_interim_responses() -> None:
    # RFC 9110 15.2: they are defined since HTTP/1.1.
    async with open_client(hinting) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    "status",
    [
        101,  # changes the protocol, of which nobody has asked anything here
        200,  # is final
        99,
    ],
)
async def test_not_every_status_is_interim(status: int) -> None:
    events: list[Event] = []

    async def app(exchange: Exchange) -> None:
        await exchange.inform(status)

    async with open_client(app, report=events.append) as client:
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade"}
        assert (await client.get("/", upgrade)).status == 500
        assert (await client.get("/")).status == 500
    assert len([event for event in events if isinstance(event, Failure)]) == 2


# What a response is given on its way


def test_a_response_tells_when_it_was_made() -> None:
    # RFC 9110 5.6.7: a date may be read in other forms, but is sent in this one.
    made = dress(Response(200), Limits(), 784111777.9)
    assert made.headers["Date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    made = dress(Response(200), Limits(), 784111778)
    assert made.headers["Date"] == "Sun, 06 Nov 1994 08:49:38 GMT"


def test_a_date_that_is_there_stays() -> None:
    response = Response(200, {"date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    assert dress(response, Limits(), 784111777) == response


def test_a_date_can_do_without() -> None:
    assert dress(Response(200), WITHOUT_DATE, 784111777) == Response(200)


def test_the_last_response_on_a_connection_says_so() -> None:
    response = Response(200, {"connection": "keep-alive", "X-A": "b"})
    assert closing(response).headers == Headers({"X-A": "b", "Connection": "close"})


async def test_dates_are_sent_unless_they_are_not_wanted() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        date = parsedate_to_datetime((await client.get("/")).headers["Date"])
        assert abs(datetime.now(UTC) - date) < timedelta(hours=1)
    async with open_client(keeping(requests), limits=WITHOUT_DATE) as client:
        assert "Date" not in (await client.get("/")).headers


async def test_a_client_that_may_still_send_a_body_is_told_that_we_close() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        await client.send(
            b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        answer = await client.answer()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_the_host_is_that_of_the_target_where_it_has_one() -> None:
    # RFC 9112 3.2.2.
    async def tell(request: Request) -> Response:
        return Response.text(request.headers["Host"] + request.path)

    async with open_client(answering(tell)) as client:
        answer = await client.request("GET", "http://one.example:80/a?b", {"Host": "other"})
        assert answer.body == b"one.example:80/a"
