"""Tests of a server with many connections: accepting, draining, retiring and stopping.

Behavior of the kernel is tested with real sockets, time-outs with memory streams.
"""

import errno
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

import pytest
import trio
import trio.testing
from support import PATIENCE, tls_contexts

from trio_http.http1.app_lifetime import Servable
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import (
    Connected,
    Crowded,
    Disconnected,
    Ending,
    Failure,
    NotAccepting,
    Record,
    Report,
    ServerEvent,
    report_failures,
)
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Send, Stream
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.idle_connections import SETTLED
from trio_http.serving.listeners import open_listeners
from trio_http.serving.server import ACCEPT_AT_ONCE, Server, address_of, client_of, serve
from trio_http.testing import Client

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


AnyListener = trio.abc.Listener[trio.abc.Stream]
_Accepted: TypeAlias = trio.abc.Stream | OSError | trio.BrokenResourceError
NoDescriptorsLeft: TypeAlias = Callable[[], AbstractContextManager[None]]


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener of another kind: accepts or raises each item that is put into it."""

    def __init__(self) -> None:
        self._queue, self._accepted = trio.open_memory_channel[_Accepted](math.inf)
        self.closed = False

    @property
    def waiting(self) -> int:
        return self._queue.statistics().current_buffer_used

    def put(self, item: _Accepted) -> None:
        self._queue.send_nowait(item)

    def connect(self) -> Client:
        near, far = trio.testing.memory_stream_pair()
        self.put(far)
        return Client(near)

    async def accept(self) -> trio.abc.Stream:
        item = await self._accepted.receive()
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


async def name_client(exchange: Exchange) -> None:
    await exchange.respond(Response.text(exchange.request.client))


async def send_endlessly(exchange: Exchange) -> None:
    async def produce(send: Send) -> None:
        while True:
            await send(bytes(65536))

    await exchange.respond(Response(200, {}, Stream(produce)))


class Slow:
    """An App that responds once ``go_on`` is set, and tells when it has begun."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.go_on = trio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.begun.set()
        await self.go_on.wait()
        await hello(exchange)


@asynccontextmanager
async def draining(
    app: Servable,
    *listeners: AnyListener,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
) -> AsyncIterator[Server]:
    """Run a server, by default on 127.0.0.1; leaving waits until it has ended."""
    found = listeners or await open_listeners("127.0.0.1:0")
    start = partial(serve, app, found, timeouts=timeouts, limits=limits, report=report)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            yield await nursery.start(start)


@asynccontextmanager
async def serving(
    app: Servable, *listeners: AnyListener, report: Report = report_failures
) -> AsyncIterator[Server]:
    """Run a server, by default on 127.0.0.1; leaving stops it at once."""
    with trio.CancelScope() as scope:
        async with draining(app, *listeners, report=report) as server:
            yield server
            scope.cancel()


def place_of(server: Server) -> tuple[str, int]:
    host, _, port = server.addresses[0].rpartition(":")
    return host, int(port)


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Client]:
    async with await trio.open_tcp_stream(*place_of(server)) as stream:
        yield Client(stream)


def is_refused(server: Server) -> bool:
    try:
        socket.create_connection(place_of(server)).close()
    except ConnectionRefusedError:
        return True
    return False


# Many connections


async def test_connection_gets_a_response_to_each_request() -> None:
    async with serving(hello) as server, connected(server) as client:
        for _ in range(3):
            assert (await client.get("/")).body == b"hello\n"


async def test_serve_needs_no_nursery_start() -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, hello, [listener])
        assert (await listener.connect().get("/")).status == 200
        nursery.cancel_scope.cancel()


async def test_every_listener_is_served() -> None:
    memory = MemoryListener()
    tcp = await open_listeners("127.0.0.1:0", "127.0.0.1:0")
    async with serving(hello, memory, *tcp) as server:
        for address in server.addresses[1:]:
            host, _, port = address.rpartition(":")
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                assert (await Client(stream).get("/")).status == 200
        assert (await memory.connect().get("/")).status == 200


async def test_connections_get_responses_in_any_order() -> None:
    async with serving(hello) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(5)]
        for place in (3, 0, 4, 2, 1, 3):
            assert (await clients[place].get("/")).body == b"hello\n"


async def test_request_does_not_wait_for_another_connection() -> None:
    met = trio.Event()

    async def meet(exchange: Exchange) -> None:
        if exchange.request.target == "/second":
            met.set()
        await met.wait()
        await hello(exchange)

    async with serving(meet) as server, connected(server) as first, connected(server) as second:
        await first.send(GET)
        assert (await second.get("/second")).status == 200
        assert (await first.response()).status == 200


async def test_three_hundred_waiting_connections_all_get_responses() -> None:
    number = 300
    assert number > 2 * ACCEPT_AT_ONCE
    async with serving(hello) as server, AsyncExitStack() as stack:
        # Connecting without Trio gives other tasks no turn: all clients are waiting when the
        # server looks.
        sockets = [socket.create_connection(place_of(server)) for _ in range(number)]
        clients = []
        for each in sockets:
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(each))
            clients.append(Client(await stack.enter_async_context(stream)))
        for client in clients:
            await client.send(GET)
        for client in reversed(clients):
            assert (await client.response()).body == b"hello\n"


async def test_default_socket_timeout_does_not_block_accepting() -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(60)
    try:
        async with serving(hello) as server, connected(server) as client:
            with trio.fail_after(20):
                assert (await client.get("/")).status == 200
    finally:
        socket.setdefaulttimeout(before)


async def test_listener_has_nodelay_so_responses_are_sent_at_once() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    async with serving(hello, listener) as server, connected(server) as client:
        assert (await client.get("/")).status == 200
        # On Linux and the BSDs, accepted sockets inherit the option.
        assert listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_failing_app_ends_only_its_exchange() -> None:
    events: list[ServerEvent] = []

    async def fail(exchange: Exchange) -> None:
        if exchange.request.target == "/fail":
            raise RuntimeError("a mistake")
        await hello(exchange)

    async with (
        serving(fail, report=events.append) as server,
        connected(server) as client,
        connected(server) as other,
    ):
        assert (await client.get("/fail")).status == 500
        assert (await client.get("/")).status == 200
        assert (await other.get("/")).status == 200
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert str(failure.error) == "a mistake"


async def test_events_contain_the_address_of_the_client() -> None:
    events: list[ServerEvent] = []
    async with serving(name_client, report=events.append) as server:
        async with connected(server) as client:
            assert isinstance(client.stream, trio.SocketStream)
            host, port = client.stream.socket.getsockname()
            answer = await client.get("/")
        await trio.testing.wait_all_tasks_blocked()
    assert answer.body.decode() == f"{host}:{port}"
    begin, record, end = events
    assert (begin, end) == (Connected(f"{host}:{port}"), Disconnected(f"{host}:{port}"))
    assert isinstance(record, Record)
    assert record.ending is Ending.COMPLETE


async def test_given_limits_apply() -> None:
    listener = MemoryListener()
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await serve(hello, [listener], limits=Limits(target=10), behavior=Behavior(date=False))

        nursery.start_soon(run)
        assert "Date" not in (await listener.connect().get("/")).headers
        assert (await listener.connect().get("/longer-than-ten")).status == 414
        nursery.cancel_scope.cancel()


async def test_given_timeouts_apply(autojump_clock: trio.testing.MockClock) -> None:
    listener = MemoryListener()
    async with draining(hello, listener, timeouts=Timeouts(idle=3)) as server:
        async with listener.connect().stream as stream:
            assert await stream.receive_some() == b""
        assert trio.current_time() == 3
        server.shutdown()


# Kinds of listeners


async def test_listeners_opened_by_trio_are_served() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with serving(hello, *listeners) as server, connected(server) as client:
        assert (await client.get("/")).status == 200


async def test_unix_socket_is_served(tmp_path: Path) -> None:
    path = str(tmp_path / "http")
    listening = trio.socket.socket(socket.AF_UNIX)
    await listening.bind(path)
    listening.listen()
    async with serving(name_client, trio.SocketListener(listening)) as server:
        assert server.addresses == (path,)
        async with await trio.open_unix_socket(path) as stream:
            assert (await Client(stream).get("/")).body == b"local"


async def test_tls_listener_is_served() -> None:
    ours, theirs = tls_contexts("test.example")
    (listener,) = await open_listeners("127.0.0.1:0")
    async with serving(name_client, trio.SSLListener(listener, ours)) as server:
        tcp = await trio.open_tcp_stream(*place_of(server))
        host, port = tcp.socket.getsockname()
        async with trio.SSLStream(tcp, theirs, server_hostname="test.example") as stream:
            await stream.send_all(GET)
            head, _, body = (await stream.receive_some()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert body.decode() == f"{host}:{port}"


async def test_custom_listener_is_served() -> None:
    listener = MemoryListener()
    async with serving(name_client, listener) as server:
        assert server.addresses == ("local",)
        first, second = listener.connect(), listener.connect()
        assert (await second.get("/")).body == b"local"
        assert (await first.get("/")).body == b"local"


async def test_custom_listener_of_sockets_is_served() -> None:
    (tcp,) = await open_listeners("127.0.0.1:0")
    listener = MemoryListener()
    async with (
        serving(name_client, listener),
        tcp,
        await trio.open_tcp_stream(*tcp.socket.getsockname()) as stream,
    ):
        host, port = stream.socket.getsockname()
        listener.put(await tcp.accept())
        assert (await Client(stream).get("/")).body.decode() == f"{host}:{port}"


class Polite(trio.abc.Stream):
    """A stream without input that takes a second to close."""

    has_said_goodbye = False

    async def receive_some(self, _: object = None) -> bytes:
        return b""

    async def send_all(self, _: object) -> None:
        raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.sleep(1)
        self.has_said_goodbye = True


async def test_custom_stream_has_time_to_close(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener, stream = MemoryListener(), Polite()
    async with draining(hello, listener) as server:
        listener.put(stream)
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
    assert stream.has_said_goodbye


async def test_ipv6_address_has_brackets() -> None:
    listening = trio.socket.socket(socket.AF_INET6)
    try:
        await listening.bind(("::1", 0))
    except OSError:
        listening.close()
        pytest.skip("this machine has no IPv6")
    listening.listen()
    async with trio.SocketListener(listening) as listener:
        port = listening.getsockname()[1]
        assert address_of(listener) == f"[::1]:{port}"


async def test_client_that_has_left_is_unknown() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    async with listener:
        with closing(socket.create_connection(listener.socket.getsockname())) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream = await listener.accept()
        async with stream:
            assert client_of(stream) == "unknown"


# The limit on connections


async def test_client_beyond_the_limit_waits_until_a_connection_ends() -> None:
    events: list[ServerEvent] = []
    limits = Limits(connections=2)
    async with draining(hello, limits=limits, report=events.append) as server:
        async with connected(server) as first, connected(server), connected(server) as third:
            await third.send(GET)
            await trio.testing.wait_all_tasks_blocked()
            assert sum(isinstance(event, Connected) for event in events) == 2
            await first.stream.aclose()
            assert (await third.response()).status == 200
        server.shutdown()


async def test_waiting_clients_are_all_served() -> None:
    async with draining(hello, limits=Limits(connections=3)) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(20)]
        for client in clients:
            assert (await client.get("/", {"Connection": "close"})).status == 200
            await client.stream.aclose()  # otherwise the server waits for it
        server.shutdown()


async def test_limit_applies_to_all_listeners_together() -> None:
    found = await open_listeners("127.0.0.1:0", "127.0.0.1:0")
    events: list[ServerEvent] = []
    limits = Limits(connections=3)
    async with (
        draining(hello, *found, limits=limits, report=events.append) as server,
        AsyncExitStack() as stack,
    ):
        # All clients are waiting at both listeners when the server looks.
        clients = [
            trio.SocketStream(
                trio.socket.from_stdlib_socket(
                    socket.create_connection(listener.socket.getsockname())
                )
            )
            for listener in found
            for _ in range(4)
        ]
        for stream in clients:
            await stack.enter_async_context(stream)
            await stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        assert sum(isinstance(event, Connected) for event in events) == 3
        server.shutdown()
        await stack.aclose()


async def test_listener_without_a_socket_waits_for_a_slot() -> None:
    slow, listener = Slow(), MemoryListener()
    async with draining(slow, listener, limits=Limits(connections=1)) as server:
        clients = [listener.connect() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        assert listener.waiting == 1  # only accepting tells whether a client is waiting
        slow.go_on.set()
        for client in clients:
            assert (await client.response()).status == 200
            await client.stream.aclose()
        server.shutdown()


async def test_shutdown_closes_clients_that_wait_for_a_slot() -> None:
    slow, listener = Slow(), MemoryListener()
    async with draining(slow, listener, limits=Limits(connections=1)) as server:
        served, waiting = listener.connect(), listener.connect()
        await served.send(GET)
        await slow.begun.wait()
        await waiting.send(GET)
        server.shutdown()
        assert await waiting.rest() == b""
        slow.go_on.set()
        assert (await served.response()).status == 200
        await served.stream.aclose()


async def test_retire_serves_clients_that_wait_for_a_slot() -> None:
    slow, listener = Slow(), MemoryListener()
    async with draining(slow, listener, limits=Limits(connections=1)) as server:
        served, waiting = listener.connect(), listener.connect()
        await served.send(GET)
        await slow.begun.wait()
        await waiting.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        server.retire()
        await trio.testing.wait_all_tasks_blocked()
        slow.go_on.set()
        for client in (served, waiting):
            assert (await client.response()).headers["Connection"] == "close"
            await client.stream.aclose()


async def test_listener_without_clients_takes_no_slot() -> None:
    silent, busy = MemoryListener(), MemoryListener()
    async with draining(hello, silent, busy, limits=Limits(connections=1)) as server:
        for _ in range(3):
            client = busy.connect()
            assert (await client.get("/")).status == 200
            await client.stream.aclose()
        server.shutdown()


async def test_shutdown_at_the_limit_serves_only_accepted_clients() -> None:
    slow, memory = Slow(), MemoryListener()
    tcp = await open_listeners("127.0.0.1:0")
    async with (
        draining(slow, *tcp, memory, limits=Limits(connections=1)) as server,
        connected(server) as client,
        connected(server) as waiting,
    ):
        await client.send(GET)
        await slow.begun.wait()
        server.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        assert is_refused(server)
        slow.go_on.set()
        assert (await client.response()).headers["Connection"] == "close"
        assert await client.rest() == b""
        with suppress(trio.BrokenResourceError):  # a reset: it was never accepted
            assert await waiting.rest() == b""


# Idle connections make room


async def test_newcomer_replaces_the_connection_idle_longest(
    mock_clock: trio.testing.MockClock,
) -> None:
    number, events = 50, list[ServerEvent]()
    limits = Limits(connections=number)
    async with (
        draining(hello, limits=limits, report=events.append) as server,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(connected(server)) for _ in range(number)]
        for client in reversed(clients):
            assert (await client.get("/")).status == 200
        mock_clock.jump(SETTLED)
        newcomer = await stack.enter_async_context(connected(server))
        assert (await newcomer.get("/")).status == 200
        assert await clients.pop().rest() == b""  # the first that became idle
        for client in clients:
            assert (await client.get("/")).status == 200
        assert [event for event in events if isinstance(event, Crowded)] == [Crowded(number)]
        server.shutdown()


async def test_request_that_has_just_arrived_gets_a_response_before_a_newcomer(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with (
        draining(hello, limits=Limits(connections=1)) as server,
        connected(server) as client,
    ):
        await client.get("/")
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(SETTLED)
        assert isinstance(client.stream, trio.SocketStream)
        # Sending without Trio gives other tasks no turn: the server sees both at once.
        with (
            closing(socket.socket(fileno=os.dup(client.stream.socket.fileno()))) as same,
            closing(socket.create_connection(place_of(server))),
        ):
            same.send(GET)
        assert (await client.response()).status == 200
        server.shutdown()


async def test_connection_in_the_middle_of_a_request_is_not_closed_for_a_newcomer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    slow, listener = Slow(), MemoryListener()
    async with draining(slow, listener, limits=Limits(connections=2)) as server:
        sending, answered, newcomer = (listener.connect() for _ in range(3))
        await sending.send(GET[:-2])
        await answered.send(GET)
        await newcomer.send(GET)
        await trio.sleep(9)  # a head may take ten seconds
        slow.go_on.set()
        assert (await answered.response()).headers["Connection"] == "close"
        await answered.stream.aclose()
        assert (await newcomer.response()).status == 200
        await sending.send(b"\r\n")
        assert (await sending.response()).status == 200
        server.shutdown()


async def test_idle_connections_make_room_on_every_kind_of_listener(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = tls_contexts("test.example")
    tls, tcp = await open_listeners("127.0.0.1:0", "127.0.0.1:0")
    memory = MemoryListener()
    listeners = trio.SSLListener(tls, ours), tcp, memory

    async def connect() -> AsyncIterator[trio.abc.Stream]:
        for _ in range(2):
            stream = await trio.open_tcp_stream(*tls.socket.getsockname())
            yield trio.SSLStream(stream, theirs, server_hostname="test.example")
            yield await trio.open_tcp_stream(*tcp.socket.getsockname())
            yield memory.connect().stream

    async with (
        draining(hello, *listeners, limits=Limits(connections=1)) as server,
        AsyncExitStack() as stack,
    ):
        async for stream in connect():
            await stack.enter_async_context(stream)
            await stream.send_all(GET)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
            await trio.sleep(SETTLED)
        server.shutdown()


# Errors of accept()


async def test_server_without_descriptors_accepts_when_a_connection_ends(
    no_descriptors_left: NoDescriptorsLeft, mock_clock: trio.testing.MockClock
) -> None:
    events: list[ServerEvent] = []
    async with serving(hello, report=events.append) as server, connected(server) as client:
        await client.get("/")
        waiting = socket.socket()
        with no_descriptors_left():
            waiting.connect(place_of(server))
            await trio.testing.wait_all_tasks_blocked()
            (event,) = [event for event in events if isinstance(event, NotAccepting)]
            assert isinstance(event.error, OSError)
            assert event.error.errno == errno.EMFILE
            await client.stream.aclose()  # this frees two, because this process has both ends
            async with trio.SocketStream(trio.socket.from_stdlib_socket(waiting)) as stream:
                assert (await Client(stream).get("/")).status == 200
    assert sum(isinstance(event, NotAccepting) for event in events) == 1


async def test_server_without_descriptors_closes_an_idle_connection(
    no_descriptors_left: NoDescriptorsLeft, mock_clock: trio.testing.MockClock
) -> None:
    async with serving(hello) as server, connected(server) as client:
        await client.get("/")
        waiting = socket.socket()
        mock_clock.jump(SETTLED)
        with no_descriptors_left():
            waiting.connect(place_of(server))
            async with trio.SocketStream(trio.socket.from_stdlib_socket(waiting)) as stream:
                assert (await Client(stream).get("/")).status == 200
        assert await client.rest() == b""


class Failing(trio.abc.Listener[trio.abc.Stream]):
    """A listener on which every accept() fails at once."""

    async def accept(self) -> NoReturn:
        raise OSError("not this one, either")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_failing_listener_does_not_block_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener = MemoryListener()
    async with serving(hello, Failing(), listener):
        assert (await listener.connect().get("/")).status == 200
        await trio.sleep(PATIENCE / 2)
        assert (await listener.connect().get("/")).status == 200


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (OSError(errno.EMFILE, "not now"), True),
        (OSError(errno.ECONNABORTED, "not this one"), False),
        (trio.BrokenResourceError(), False),  # from a handshake before accepting
    ],
)
async def test_client_after_a_failure_is_served(
    autojump_clock: trio.testing.MockClock,
    error: OSError | trio.BrokenResourceError,
    is_told: object,
) -> None:
    listener, events = MemoryListener(), list[ServerEvent]()
    listener.put(error)
    async with serving(hello, listener, report=events.append):
        assert (await listener.connect().get("/")).status == 200
    assert (NotAccepting(error) in events) is is_told


async def test_listener_that_never_accepts_ends_the_server() -> None:
    broken, other = MemoryListener(), MemoryListener()
    broken.put(OSError(errno.EBADF, "not a listener"))
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(PATIENCE):
        await serve(hello, [broken, other])
    assert caught.group_contains(OSError, match="not a listener")
    assert broken.closed
    assert other.closed


async def test_socket_that_no_longer_listens_ends_the_server() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    listener.socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(PATIENCE):
        await serve(hello, [listener])
    assert caught.group_contains(OSError, match=os.strerror(errno.EINVAL))


# Draining


async def test_shutdown_finishes_only_running_requests() -> None:
    slow = Slow()

    async def app(exchange: Exchange) -> None:
        await (slow(exchange) if exchange.request.target == "/slow" else hello(exchange))

    async with (
        serving(app) as server,
        connected(server) as busy,
        connected(server) as kept,
        connected(server) as fresh,
    ):
        assert "Connection" not in (await kept.get("/")).headers
        await busy.send(GET.replace(b"/", b"/slow", 1) + GET)
        await slow.begun.wait()
        server.shutdown()
        assert await kept.rest() == b""
        assert await fresh.rest() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert is_refused(server)
        slow.go_on.set()
        answer = await busy.response()
        assert answer.body == b"hello\n"
        assert answer.headers["Connection"] == "close"
        assert await busy.rest() == b""  # the second request is for another server


async def test_listeners_are_closed_before_the_drain_ends() -> None:
    listener, slow = MemoryListener(), Slow()
    async with draining(slow, listener) as server:
        client = listener.connect()
        await client.send(GET)
        await slow.begun.wait()
        server.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        assert listener.closed
        slow.go_on.set()
        assert (await client.response()).status == 200
        await client.stream.aclose()


async def test_shutdown_of_an_idle_server_takes_no_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener = MemoryListener()
    async with draining(hello, listener) as server, listener.connect().stream:
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        server.shutdown()  # a second call does no harm
    assert trio.current_time() == 0


async def test_requests_are_cancelled_after_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener, slow, events = MemoryListener(), Slow(), list[ServerEvent]()
    timeouts = Timeouts(grace=3)
    async with draining(slow, listener, timeouts=timeouts, report=events.append) as server:
        client = listener.connect()
        await client.send(GET)
        await slow.begun.wait()
        server.shutdown()
    assert trio.current_time() == 3
    assert await client.rest() == b""
    assert [event.ending for event in events if isinstance(event, Record)] == [Ending.CANCELLED]


async def test_client_that_does_not_read_delays_shutdown_only_by_the_grace() -> None:
    timeouts = Timeouts(send=math.inf, linger=math.inf, grace=0.1)
    async with AsyncExitStack() as stack, draining(send_endlessly, timeouts=timeouts) as server:
        client = await stack.enter_async_context(connected(server))
        await client.send(GET)
        await trio.testing.wait_all_tasks_blocked()  # until the socket takes no more
        server.shutdown()


# Retiring


async def test_retiring_server_sends_each_client_one_last_response() -> None:
    async with (
        draining(hello) as server,
        connected(server) as kept,
        connected(server) as fresh,
    ):
        assert "Connection" not in (await kept.get("/")).headers
        server.retire()
        await trio.testing.wait_all_tasks_blocked()
        assert is_refused(server)
        for client in (kept, fresh):
            answer = await client.get("/")
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert await client.rest() == b""
            await client.stream.aclose()
    # The server has ended, because its clients have left.


async def test_client_accepted_during_retire_gets_a_response() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    retired, met = trio.Event(), []

    def report(event: ServerEvent) -> None:
        met.append(event)
        if isinstance(event, Connected) and not retired.is_set():
            server.retire()  # before any connection accepted with it has had a turn
            retired.set()

    async with draining(hello, listener, report=report) as server, AsyncExitStack() as stack:
        clients = []
        for _ in range(10):
            connected = socket.create_connection(place_of(server))
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(connected))
            clients.append(Client(await stack.enter_async_context(stream)))
        await retired.wait()
        await trio.testing.wait_all_tasks_blocked()
        for client in clients:
            assert (await client.get("/")).status == 200
        await stack.aclose()
    assert sum(isinstance(event, Connected) for event in met) == 10


async def test_shutdown_closes_connections_that_a_retiring_server_waits_for() -> None:
    async with draining(hello) as server, connected(server) as idle:
        server.retire()
        await trio.testing.wait_all_tasks_blocked()
        server.shutdown()
        assert await idle.rest() == b""


# Stopping


async def test_cancelled_server_stops_at_once() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    timeouts = Timeouts(send=math.inf, linger=math.inf, grace=math.inf)
    async with AsyncExitStack() as stack:
        with trio.CancelScope() as scope:
            async with draining(send_endlessly, listener, timeouts=timeouts) as server:
                idle = await stack.enter_async_context(connected(server))
                stuck = await stack.enter_async_context(connected(server))
                await stuck.send(GET)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        assert await idle.rest() == b""
        assert is_refused(server)
        assert listener.socket.fileno() == -1


async def test_cancelling_a_drain_stops_the_server_at_once() -> None:
    listener, slow = MemoryListener(), Slow()
    timeouts = Timeouts(grace=math.inf)
    with trio.CancelScope() as scope:
        async with draining(slow, listener, timeouts=timeouts) as server:
            client = listener.connect()
            await client.send(GET)
            await slow.begun.wait()
            server.shutdown()
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
    assert await client.rest() == b""


@pytest.mark.parametrize("end", [Server.shutdown, None])
async def test_port_can_be_reused_at_once(
    end: Callable[[Server], None] | None,
) -> None:
    with trio.CancelScope() as scope:
        async with draining(hello) as server, connected(server) as client:
            # The server closes first, so the kernel remembers the connection on its side.
            assert (await client.get("/", {"Connection": "close"})).status == 200
            assert await client.rest() == b""
            end(server) if end else scope.cancel()
    (listener,) = await open_listeners(server.addresses[0])
    await listener.aclose()


# The app's lifetime


class Lifetime:
    """An app with a lifetime that records its events and can be made to fail."""

    def __init__(self, app: App = hello) -> None:
        self.steps: list[str] = []
        self.may_begin = trio.Event()
        self.may_begin.set()
        self.fails = trio.Event()
        self._app = app

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[App]:
        try:
            await self.may_begin.wait()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._fail)
                self.steps.append("begun")
                yield self._app
                nursery.cancel_scope.cancel()
        finally:
            self.steps.append("over")

    async def _fail(self) -> None:
        await self.fails.wait()
        raise ZeroDivisionError


async def test_lifetime_begins_before_the_first_connection_is_accepted() -> None:
    lifetime, listener = Lifetime(), MemoryListener()
    lifetime.may_begin = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, lifetime(), [listener])
        client = listener.connect()
        await trio.testing.wait_all_tasks_blocked()
        assert listener.waiting == 1
        lifetime.may_begin.set()
        assert (await client.get("/")).status == 200
        nursery.cancel_scope.cancel()
    assert lifetime.steps == ["begun", "over"]


async def test_lifetime_ends_after_the_drain(autojump_clock: trio.testing.MockClock) -> None:
    slow, listener = Slow(), MemoryListener()
    lifetime = Lifetime(slow)
    async with draining(lifetime(), listener) as server:
        client = listener.connect()
        await client.send(GET)
        await slow.begun.wait()
        server.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        assert lifetime.steps == ["begun"]
        slow.go_on.set()
        assert (await client.response()).status == 200
    assert lifetime.steps == ["begun", "over"]


async def test_lifetime_that_fails_while_served_ends_the_server() -> None:
    lifetime, listener = Lifetime(), MemoryListener()
    client = listener.connect()

    async def fail() -> None:
        assert (await client.get("/")).status == 200
        lifetime.fails.set()
        assert await client.rest() == b""

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        with pytest.raises(ZeroDivisionError), trio.fail_after(PATIENCE):
            await serve(lifetime(), [listener])
    assert listener.closed
    assert lifetime.steps == ["begun", "over"]


async def test_lifetime_that_fails_to_begin_ends_the_server() -> None:
    listener = MemoryListener()
    client = listener.connect()

    @asynccontextmanager
    async def failing() -> AsyncIterator[App]:
        async with trio.open_nursery():
            yield {"hello": hello}["hullo"]

    with pytest.raises(KeyError), trio.fail_after(PATIENCE):
        await serve(failing(), [listener])
    assert listener.closed
    assert listener.waiting == 1
    await client.stream.aclose()


async def test_lifetime_that_fails_at_its_end_ends_the_server() -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[App]:
        yield hello
        raise ZeroDivisionError

    listener = MemoryListener()
    ended = False

    async def end(*, task_status: trio.TaskStatus[Server]) -> None:
        nonlocal ended
        with pytest.raises(ZeroDivisionError):
            await serve(failing(), [listener], task_status=task_status)
        ended = True

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(end)
        assert (await listener.connect().get("/")).status == 200
        server.shutdown()
    assert ended


async def test_lifetime_that_begins_too_slowly_ends_the_server(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lifetime, listener = Lifetime(), MemoryListener()
    lifetime.may_begin = trio.Event()
    with pytest.raises(trio.TooSlowError, match="did not start within 3 s"):
        await serve(lifetime(), [listener], timeouts=Timeouts(start=3))
    assert trio.current_time() == 3
    assert listener.closed
    assert lifetime.steps == ["over"]
