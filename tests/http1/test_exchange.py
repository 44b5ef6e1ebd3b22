"""The exchange of a request and a response, as seen by an app."""

import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import h11
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import stream_of
from trio.testing import MockClock

from trio_http.http1.app_lifetime import answering
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import Ending, Failure, Record, ServerEvent
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, Chain, Send, Stream
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.server_sent_events import SendEvent, ServerSentEvent
from trio_http.testing import Client, open_client

WITHOUT_DATE = Behavior(date=False)


def keeping(requests: list[Request]) -> App:
    """Return an app that keeps the requests that it receives."""

    @answering
    async def app(request: Request) -> Response:
        requests.append(request)
        return Response.text("here you are")

    return app


async def test_request_has_the_parts_that_were_sent() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        await client.send(
            b"M-SEARCH /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-A:  b c \r\nx-a: \xff\r\n\r\n"
        )
        await client.response()
    (request,) = requests
    assert (request.method, request.target, request.version) == ("M-SEARCH", "/a%20b?c=d", "1.1")
    assert request.headers.raw == ((b"Host", b"x"), (b"X-A", b"b c"), (b"x-a", b"\xff"))
    assert request.client == "local"


async def test_body_pieces_arrive_as_they_are_sent() -> None:
    arrived, pieces = trio.Event(), []

    @answering
    async def app(request: Request) -> Response:
        async for piece in request.body:
            pieces.append(piece)
            arrived.set()
        # A second iteration yields nothing.
        assert [piece async for piece in request.body] == []
        return Response(204)

    async with open_client(app) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        await arrived.wait()
        assert pieces == [b"hello"]
        await client.send(b"again")
        assert (await client.response()).status == 204
    assert b"".join(pieces) == b"helloagain"


async def test_trailers_are_available_after_the_last_piece() -> None:
    @answering
    async def app(request: Request) -> Response:
        before = request.body.trailers
        await request.read()
        return Response.text(f"{len(before)} {request.body.trailers['X-Sum']}")

    async with open_client(app) as client:
        chunked = {"Transfer-Encoding": "chunked"}
        answer = await client.request("PUT", "/", chunked, b"2\r\nhi\r\n0\r\nX-Sum: 2\r\n\r\n")
        assert answer.body == b"0 2"


async def test_request_without_body_reads_as_empty() -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text(repr(await request.read()))

    async with open_client(app) as client:
        assert (await client.get("/")).body == b"b''"


async def test_returned_response_is_sent() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests), behavior=WITHOUT_DATE) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await client.rest() == (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 12\r\n"
            b"Connection: close\r\n\r\n"
            b"here you are"
        )


async def test_response_is_compressed_for_client_that_accepts_gzip() -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text("hello " * 1000)

    async with open_client(app) as client:
        answer = await client.get("/", {"Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"


async def test_mounted_exchange_shares_the_response() -> None:
    seen: list[tuple[str, Response | None]] = []

    async def app(exchange: Exchange) -> None:
        below = exchange.below("/a").below("/b")
        seen.append((below.request.path, below.response))
        await below.inform(103, {"Link": "</x>"})
        await below.respond(Response(203))
        seen.append((exchange.request.path, exchange.response))
        assert below.response is exchange.response
        for each in (exchange, below):
            with pytest.raises(RuntimeError, match="already has a response"):
                await each.respond(Response(200))
            with pytest.raises(RuntimeError, match="already has a response"):
                await each.inform(103)

    events: list[ServerEvent] = []
    async with open_client(app, report=events.append) as client:
        await client.send(b"GET /a/b/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert [(await client.response()).status for _ in range(2)] == [103, 203]
        assert await client.rest() == b""
    assert seen == [("/c", None), ("/a/b/c", Response(203))]
    (record,) = [event for event in events if isinstance(event, Record)]
    assert record.request is not None
    assert (record.request.path, record.status) == ("/a/b/c", 203)


async def test_mounted_exchange_can_refuse() -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.below("/a").refuse(HTTPError(418))

    async with open_client(app) as client:
        assert (await client.get("/a/b")).status == 418


async def test_respond_returns_after_the_body_was_sent() -> None:
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


async def test_second_response_raises_runtime_error() -> None:
    errors = []

    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response.text("first"))
        for late in (exchange.respond(Response(500)), exchange.inform(103)):
            with pytest.raises(RuntimeError) as error:
                await late
            errors.append(str(error.value))

    async with open_client(app) as client:
        for _ in range(2):  # the connection can still be used
            assert (await client.get("/")).body == b"first"
    assert errors == 2 * [
        "this exchange already has a response: call respond() only once",
        "this exchange already has a response: call inform() before it",
    ]


# Trailers


async def summing(exchange: Exchange) -> None:
    """Stream a body and send its digest in the trailers."""
    digest = hashlib.sha256()

    async def produce(send: Send) -> None:
        for piece in (b"hello ", b"world"):
            digest.update(piece)
            await send(piece)

    def trailers() -> dict[str, str]:
        return {"X-Digest": digest.hexdigest()}

    headers = {"Content-Type": "text/plain", "Trailer": "X-Digest"}
    await exchange.respond(Response(200, headers, Stream(produce), trailers=trailers))


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_trailers_are_sent_to_client_with_te_trailers(coding: str) -> None:
    async with open_client(summing) as client:
        for _ in range(2):  # the connection can still be used
            answer = await client.get("/", {"TE": "trailers", "Accept-Encoding": coding})
            body = zlib.decompress(answer.body, 31) if coding == "gzip" else answer.body
            assert answer.headers.get(
                "Content-Encoding",
            ) == (None if coding == "identity" else coding)
            assert answer.trailers == Headers({"X-Digest": hashlib.sha256(body).hexdigest()})


@pytest.mark.parametrize(("method", "fields"), [("GET", {}), ("HEAD", {"TE": "trailers"})])
async def test_trailers_are_not_sent_to_other_clients(method: str, fields: dict[str, str]) -> None:
    async with open_client(summing) as client:
        answer = await client.request(method, "/", fields)
        assert answer.body == (b"hello world" if method == "GET" else b"")
        assert answer.trailers == Headers()
        assert (await client.get("/")).status == 200


# Events


async def event_pieces(client: Client, request: bytes) -> list[tuple[bytes, float]]:
    """Return the received pieces and their times; ``request`` is HTTP/1.0 to avoid chunks."""
    await client.send(request)
    pieces = []
    while piece := await client.stream.receive_some():
        pieces.append((bytes(piece), trio.current_time()))
    return pieces


async def two_events(send: SendEvent) -> None:
    await send(ServerSentEvent("one", id="1"))
    await trio.sleep(40)
    await send(ServerSentEvent("two"))


TWO_EVENTS = [
    (b"id: 1\ndata: one\n\n", 0),
    (b": still here\n\n", 15),
    (b": still here\n\n", 30),
    (b"data: two\n\n", 40),
]


async def test_events_and_keep_alives_arrive_in_time(
    autojump_clock: MockClock,
) -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.events(two_events)

    async with open_client(app) as client:
        (head, _), *events = await event_pieces(client, b"GET / HTTP/1.0\r\n\r\n")
    assert b"text/event-stream" in head
    assert events == TWO_EVENTS


async def test_encoded_events_can_be_decoded_on_arrival(autojump_clock: MockClock) -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.events(two_events)

    async with open_client(app) as client:
        request = b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n"
        (head, _), *pieces = await event_pieces(client, request)
    assert b"Content-Encoding: gzip" in head
    decoder = zlib.decompressobj(31)
    events = [(decoder.decompress(piece), time) for piece, time in pieces]
    assert [event for event in events if event[0]] == TWO_EVENTS
    assert decoder.eof


async def test_silent_event_stream_ends_when_the_client_leaves(autojump_clock: MockClock) -> None:
    events: list[ServerEvent] = []
    ended = []

    @answering
    async def app(request: Request) -> Response:
        async def produce(send: SendEvent) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(trio.current_time())

        return Response.events(produce, keep_alive=20)

    async with open_client(app, report=events.append) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.stream.receive_some()
        await client.stream.aclose()
        await trio.sleep(100)
    assert ended == [20]
    assert [event.ending for event in events if isinstance(event, Record)] == [Ending.DISCONNECTED]
    assert not [event for event in events if isinstance(event, Failure)]


# Interim responses


async def hinting(exchange: Exchange) -> None:
    await exchange.inform(103, [("Link", "</a.css>"), ("Link", "</b.css>")])
    await exchange.inform(102)
    await exchange.respond(Response(204))


async def test_interim_responses_precede_the_final_one() -> None:
    async with open_client(hinting, behavior=WITHOUT_DATE) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await client.rest() == (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nLink: </b.css>\r\n\r\n"
            b"HTTP/1.1 102 Processing\r\n\r\n"
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        )


async def test_early_hints_precede_the_response() -> None:
    # RFC 8297
    hinted = trio.Event()

    async def app(exchange: Exchange) -> None:
        await exchange.inform(103, {"Link": "</style.css>; rel=preload; as=style"})
        await hinted.wait()
        await exchange.respond(Response.html("<p>hello"))

    async with open_client(app) as client:
        for _ in range(2):
            hints = await client.get("/")
            assert (hints.status, hints.reason) == (103, "Early Hints")
            assert hints.headers == Headers({"Link": "</style.css>; rel=preload; as=style"})
            hinted.set()
            assert (await client.response()).body == b"<p>hello"


async def test_interim_responses_have_no_framing_fields() -> None:
    async def app(exchange: Exchange) -> None:
        headers = {"Content-Length": "5", "Transfer-Encoding": "chunked", "Link": "</a>"}
        await exchange.inform(103, headers)
        await exchange.respond(Response.text("hello"))

    async with open_client(app) as client:
        assert (await client.get("/")).headers == Headers({"Link": "</a>"})
        assert (await client.response()).body == b"hello"


async def test_clients_of_http_1_0_get_no_interim_responses() -> None:
    # RFC 9110 15.2: interim responses exist since HTTP/1.1.
    async with open_client(hinting) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    "status",
    [
        101,  # changes the protocol, which needs an upgrade
        200,  # final
        99,
    ],
)
async def test_status_that_is_not_interim_gets_500(status: int) -> None:
    events: list[ServerEvent] = []

    async def app(exchange: Exchange) -> None:
        await exchange.inform(status)

    async with open_client(app, report=events.append) as client:
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade"}
        assert (await client.get("/", upgrade)).status == 500
        assert (await client.get("/")).status == 500
    assert len([event for event in events if isinstance(event, Failure)]) == 2


# Fields that the server adds


async def test_date_is_sent_unless_disabled() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        date = parsedate_to_datetime((await client.get("/")).headers["Date"])
        assert abs(datetime.now(UTC) - date) < timedelta(hours=1)
    async with open_client(keeping(requests), behavior=WITHOUT_DATE) as client:
        assert "Date" not in (await client.get("/")).headers


async def test_unread_expected_body_gets_connection_close() -> None:
    requests: list[Request] = []
    async with open_client(keeping(requests)) as client:
        await client.send(
            b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_host_is_the_authority_of_an_absolute_target() -> None:
    # RFC 9112 3.2.2
    async def tell(request: Request) -> Response:
        return Response.text(request.headers["Host"] + request.path)

    async with open_client(answering(tell)) as client:
        answer = await client.request("GET", "http://one.example:80/a?b", {"Host": "other"})
        assert answer.body == b"one.example:80/a"


# Arbitrary responses, read by h11


# Fields that the server sets or changes.
OURS = {"connection", "content-length", "date", "transfer-encoding"}

names = st.one_of(
    st.sampled_from(["Content-Type", "ETag", "Link", "Set-Cookie", "Vary", "x-lower"]),
    st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,9}", fullmatch=True),
).filter(lambda name: name.lower() not in OURS)
values = st.one_of(
    st.sampled_from(["text/plain", '"tag"', "no-transform", ""]),
    st.from_regex(r"[!-~\xa0-\ud7ff]([ \t!-~]{0,9}[!-~])?", fullmatch=True),
)
fields = st.lists(st.tuples(names, values), max_size=4)


def with_content(pieces: list[bytes]) -> st.SearchStrategy[tuple[Body, bytes]]:
    content = b"".join(pieces)
    bodies: list[Body] = [
        content,
        stream_of(*pieces),
        stream_of(*pieces, length=len(content)),
        Chain(tuple(pieces)),
        Chain((stream_of(*pieces[:1]), b"".join(pieces[1:]))),
    ]
    return st.sampled_from([(body, content) for body in bodies])


bodies = st.lists(st.binary(max_size=300), max_size=3).flatmap(with_content)


async def read_by_h11(client: Client, reader: h11.Connection) -> tuple[h11.Response, bytes]:
    """Return the next response as h11 reads it."""
    body = bytearray()
    while True:
        match reader.next_event():
            case h11.Response() as head:
                response = head
            case h11.Data() as data:
                body += data.data
            case h11.EndOfMessage():
                reader.start_next_cycle()
                return response, bytes(body)
            case _:
                reader.receive_data(bytes(await client.stream.receive_some()))


made_responses = st.builds(
    lambda status, fields, body, compress: (Response(status, fields, body[0], compress), body[1]),
    st.integers(200, 599),
    fields,
    bodies,
    st.sampled_from(Compress),
)


@given(
    case=made_responses,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    coding=st.sampled_from(["identity", "gzip"]),
)
@settings(max_examples=200, deadline=None)
async def test_every_response_is_read_by_h11_unchanged(
    case: tuple[Response, bytes], method: str, coding: str
) -> None:
    made, whole = case

    @answering
    async def app(request: Request) -> Response:
        return made

    async with open_client(app) as client:
        reader = h11.Connection(h11.CLIENT)
        asked = h11.Request(
            method=method, target="/", headers=[("Host", "x"), ("Accept-Encoding", coding)]
        )
        for _ in range(2):  # the second is malformed if the first ended in the wrong place
            await client.send(reader.send(asked) or b"")
            reader.send(h11.EndOfMessage())
            response, content = await read_by_h11(client, reader)
            assert response.status_code == made.status
            received = iter(response.headers.raw_items())
            if coding == "identity":  # compression changes the ETag
                assert all(pair in received for pair in made.headers.raw)
            headers = Headers.received(response.headers.raw_items())
            if headers.get("Content-Encoding") == "gzip" and content:
                content = zlib.decompress(content, 31)
            empty = method == "HEAD" or made.status in {204, 205, 304}
            assert content == (b"" if empty else whole)


@given(
    pieces=st.lists(st.binary(max_size=5), max_size=4),
    promised=st.integers(0, 12),
    by=st.sampled_from(["field", "stream"]),
)
@settings(max_examples=200, deadline=None)
async def test_response_has_its_length_or_the_connection_ends(
    pieces: list[bytes], promised: int, by: str
) -> None:
    content, events = b"".join(pieces), list[ServerEvent]()
    made = Response(200, body=stream_of(*pieces, length=promised))
    if by == "field":
        made = Response(200, {"Content-Length": str(promised)}, stream_of(*pieces))

    @answering
    async def app(request: Request) -> Response:
        return made

    async with open_client(app, behavior=WITHOUT_DATE, report=events.append) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        await client.send_eof()
        received = await client.rest()
    failures = [event for event in events if isinstance(event, Failure)]
    endings = [event.ending for event in events if isinstance(event, Record)]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % promised
    if len(content) == promised:
        assert received == (head + content) * 2
        assert endings == [Ending.COMPLETE] * 2
        assert not failures
    else:
        # At most the promised number of bytes arrives, and nothing after them.
        assert received.startswith(head)
        arrived = received.removeprefix(head)
        assert len(arrived) <= promised
        assert content.startswith(arrived)
        assert endings == [Ending.ABORTED]
        assert len(failures) == 1
