"""Tests of addresses as text, and of the sockets that listen on them."""

import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import trio

from trio_http.serving import listeners
from trio_http.serving.listeners import (
    HAS_QUEUES,
    address_text,
    close_queues,
    open_listeners,
    open_queues,
    parse_address,
    take_over,
)

# An address for documentation (RFC 3849), so no machine has it: binding it fails with the same
# error as binding ::1 on a machine without IPv6.
ABSENT = (socket.AF_INET6, "2001:db8::1")


def names(found: list[trio.SocketListener]) -> list[tuple[str, int]]:
    return [listener.socket.getsockname()[:2] for listener in found]


async def close(found: list[trio.SocketListener]) -> None:
    for listener in found:
        await listener.aclose()


def has_address(family: int, host: str) -> bool:
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


needs_ipv6 = pytest.mark.skipif(
    not has_address(socket.AF_INET6, "::1"), reason="this machine has no IPv6"
)


class Hosts(trio.abc.HostnameResolver):
    """Resolves one host name to these addresses; calls ``asked`` on each lookup."""

    def __init__(self, *addresses: str, asked: Callable[[], None] = lambda: None) -> None:
        self._addresses = addresses
        self._asked = asked

    async def getaddrinfo(self, *arguments: Any, **_: Any) -> Any:
        host, port, _family, kind, protocol, flags = arguments
        assert (host, port) == (b"host.example", 0)
        assert flags & socket.AI_PASSIVE
        self._asked()
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                kind,
                protocol,
                "",
                (address, 0),
            )
            for address in self._addresses
        ]

    async def getnameinfo(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def port() -> Iterator[int]:
    """Yield a port that no other socket gets, and that can be listened on."""
    with closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("localhost:0", ("localhost", 0)),
        ("example.org:65535", ("example.org", 65535)),
        (":80", ("", 80)),  # every address
        ("[::1]:80", ("::1", 80)),  # brackets as in URIs (RFC 3986 3.2.2)
        ("[fe80::1%lo]:80", ("fe80::1%lo", 80)),  # with a zone (RFC 4007 11)
        ("host:00080", ("host", 80)),
    ],
)
def test_address_is_parsed(address: str, expected: tuple[str, int]) -> None:
    assert parse_address(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":",
        "8000",
        "localhost",
        "localhost:",
        "localhost:http",
        "localhost:-1",
        "localhost:+1",
        "localhost: 1",
        "localhost:65536",
        "localhost:" + "9" * 5000,  # more digits than int() accepts
        "localhost:٣",  # a digit, but not an ASCII digit
        "::1",
        "::1:80",  # the port could be part of the address
        "[::1]",
        "[::1]80",
        "[]:80",
        "[localhost]:80",
        "http://localhost:80",
        "localhost:80/",
    ],
)
def test_malformed_address_raises_value_error_with_an_example(address: str) -> None:
    with pytest.raises(
        ValueError, match=r"not a valid HOST:PORT, such as .*\[::1\]:8000: "
    ) as caught:
        parse_address(address)
    assert str(caught.value).endswith(address)


async def test_listeners_have_the_requested_addresses_in_order(port: int) -> None:
    found = await open_listeners("127.0.0.1:0", f"127.0.0.1:{port}", "127.0.0.1:0")
    assert [host for host, _ in names(found)] == ["127.0.0.1"] * 3
    assert names(found)[1] == ("127.0.0.1", port)
    await close(found)


async def test_listeners_accept_connections() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    client = await trio.open_tcp_stream(*names([listener])[0])
    async with listener, client, await listener.accept() as server:
        await client.send_all(b"hello")
        assert await server.receive_some() == b"hello"


async def test_hundred_clients_connect_before_any_is_accepted() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    async with listener:
        with ExitStack() as stack:
            for _ in range(100):
                # If the queue is full, the kernel lets the client try again after a second.
                client = socket.create_connection(names([listener])[0], timeout=0.5)
                stack.enter_context(closing(client))


async def test_no_addresses_give_no_listeners() -> None:
    assert await open_listeners() == []


@needs_ipv6
async def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    found = await open_listeners("localhost:0")
    (first, port), (second, same_port) = names(found)
    assert (first, second) == ("127.0.0.1", "::1")
    assert port == same_port != 0
    await close(found)


@needs_ipv6
async def test_ipv6_address_is_ipv6_alone(port: int) -> None:
    found = await open_listeners(f"[::]:{port}", f"0.0.0.0:{port}")
    assert names(found) == [("::", port), ("0.0.0.0", port)]  # noqa: S104 - asked for
    await close(found)


@needs_ipv6
async def test_empty_host_is_every_address_on_one_port() -> None:
    found = await open_listeners(":0")
    assert {host for host, _ in names(found)} == {"0.0.0.0", "::"}  # noqa: S104 - asked for
    assert len({port for _, port in names(found)}) == 1
    await close(found)


@needs_ipv6
async def test_host_name_is_each_of_its_addresses_once() -> None:
    trio.socket.set_custom_hostname_resolver(Hosts("127.0.0.1", "::1", "127.0.0.1"))
    found = await open_listeners("host.example:0")
    assert [host for host, _ in names(found)] == ["127.0.0.1", "::1"]
    await close(found)


@pytest.mark.parametrize(
    "loopback",
    [
        ((socket.AF_INET, "127.0.0.1"), ABSENT),
        (ABSENT, (socket.AF_INET, "127.0.0.1")),  # in either order
    ],
)
async def test_localhost_without_ipv6_is_ipv4_alone(
    monkeypatch: pytest.MonkeyPatch, loopback: tuple[tuple[int, str], ...]
) -> None:
    monkeypatch.setattr(listeners, "LOOPBACK", loopback)
    found = await open_listeners("localhost:0")
    assert [host for host, _ in names(found)] == ["127.0.0.1"]
    await close(found)


async def test_localhost_without_any_address_raises_os_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listeners, "LOOPBACK", (ABSENT,))
    with pytest.raises(OSError, match=r"cannot listen on localhost:0: ") as caught:
        # Another open address does not make up for it.
        await open_listeners("127.0.0.1:0", "localhost:0")
    assert caught.value.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


async def test_unavailable_address_of_a_host_name_raises_os_error() -> None:
    trio.socket.set_custom_hostname_resolver(Hosts("127.0.0.1", ABSENT[1]))
    with pytest.raises(OSError, match=r"cannot listen on host\.example:0: "):
        await open_listeners("host.example:0")


async def test_busy_port_raises_os_error_and_leaves_nothing_open(port: int) -> None:
    address = f"127.0.0.1:{port}"
    with pytest.raises(OSError, match=f"cannot listen on {address}: ") as caught:
        await open_listeners(address, address)
    assert caught.value.errno == errno.EADDRINUSE
    await close(await open_listeners(address))


@needs_ipv6
async def test_localhost_busy_on_ipv6_leaves_nothing_open(port: int) -> None:
    found = await open_listeners(f"[::1]:{port}")
    with pytest.raises(OSError, match=f"cannot listen on localhost:{port}: "):
        await open_listeners(f"localhost:{port}")
    found += await open_listeners(f"127.0.0.1:{port}")
    await close(found)


async def test_malformed_address_leaves_nothing_open(port: int) -> None:
    with pytest.raises(ValueError, match="not a valid HOST:PORT"):
        await open_listeners(f"127.0.0.1:{port}", "nonsense")
    await close(await open_listeners(f"127.0.0.1:{port}"))


async def test_cancellation_leaves_nothing_open(port: int) -> None:
    with trio.CancelScope() as scope:
        hosts = Hosts("127.0.0.1", asked=scope.cancel)
        trio.socket.set_custom_hostname_resolver(hosts)
        await open_listeners(f"127.0.0.1:{port}", "host.example:0")
    assert scope.cancelled_caught
    await close(await open_listeners(f"127.0.0.1:{port}"))


async def test_impossible_host_name_raises_value_error() -> None:
    with pytest.raises(ValueError, match=r"not a valid host name: a\.\.b:0"):
        await open_listeners("a..b:0")


async def test_served_port_can_be_opened_again_at_once(port: int) -> None:
    address = f"127.0.0.1:{port}"
    (listener,) = await open_listeners(address)
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        # The port stays taken on the side that closes first (RFC 9293 3.6).
        await (await listener.accept()).aclose()
        assert await client.receive_some() == b""
    await listener.aclose()
    await close(await open_listeners(address))


@pytest.mark.parametrize("reuse", [True, False])
async def test_reuse_address_is_set_only_if_that_is_safe(
    monkeypatch: pytest.MonkeyPatch, reuse: object
) -> None:
    monkeypatch.setattr(listeners, "REUSE_ADDRESS", reuse)
    (listener,) = await open_listeners("127.0.0.1:0")
    option = listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert bool(option) is reuse
    await listener.aclose()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        (("fe80::1%eth0", 80, 0, 2), "[fe80::1%eth0]:80"),
        ("/run/http.socket", "/run/http.socket"),
        ("", "local"),  # a client of a Unix socket has no address
        (b"\x00abstract", "local"),
        (None, "local"),
    ],
)
def test_socket_address_as_text(address: object, text: str) -> None:
    assert address_text(address) == text


# Several processes

needs_queues = pytest.mark.skipif(not HAS_QUEUES, reason="this system has no such queues")


def accepted(listening: trio.SocketListener) -> int:
    """Accept and close all waiting clients, and return their number."""
    count = 0
    with closing(socket.socket(fileno=os.dup(listening.socket.fileno()))) as ours:
        ours.setblocking(False)  # noqa: FBT003 - the library's own signature
        with suppress(BlockingIOError):
            while True:
                ours.accept()[0].close()
                count += 1
    return count


@contextmanager
def one_descriptor_left() -> Iterator[None]:
    """Let this process open only one more descriptor within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_ipv6
@needs_queues
async def test_queues_share_the_clients_of_each_address() -> None:
    queues = await open_queues(3, "localhost:0", "127.0.0.1:0")
    assert names(queues[0]) == names(queues[1]) == names(queues[2])
    assert len(set(names(queues[0]))) == 3
    for place, name in enumerate(names(queues[0])):
        with ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(closing(socket.create_connection(name)))
            shares = [accepted(queue[place]) for queue in queues]
        assert sum(shares) == 100
        assert min(shares) > 5  # the kernel's hash distributes clients at random
    close_queues(queues)


async def test_queues_without_reuse_port_share_one_socket(
    monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(listeners, "HAS_QUEUES", False)
    first, second = await open_queues(2, f"127.0.0.1:{port}")
    assert first == second
    close_queues([first, second])
    await close(await open_listeners(f"127.0.0.1:{port}"))


async def test_other_server_cannot_join_the_queues_by_mistake(port: int) -> None:
    address = f"127.0.0.1:{port}"
    queues = await open_queues(2, address)
    with pytest.raises(OSError, match=f"cannot listen on {address}: "):
        await open_queues(2, address)
    with pytest.raises(OSError, match=f"cannot listen on {address}: "):
        await open_listeners(address)
    close_queues(queues)
    await close(await open_listeners(address))


@needs_queues
async def test_queue_that_cannot_be_opened_leaves_nothing_open(port: int) -> None:
    address = f"127.0.0.1:{port}"
    with one_descriptor_left(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        await open_queues(2, address)
    await close(await open_listeners(address))


async def test_taken_over_sockets_are_not_inheritable() -> None:
    (listener,) = await open_listeners("127.0.0.1:0")
    descriptor = os.dup(listener.socket.fileno())
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - the library's own signature
    await listener.aclose()
    (taken,) = take_over([descriptor])
    assert not os.get_inheritable(descriptor)
    async with (
        taken,
        await trio.open_tcp_stream(*names([taken])[0]) as client,
        await taken.accept() as stream,
    ):
        await stream.send_all(b"hello")
        assert await client.receive_some() == b"hello"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
