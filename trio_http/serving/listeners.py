"""Listening sockets for addresses such as ``localhost:8000``."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import trio

# Clients that may wait to be accepted. Linux uses the smaller of this and its own limit
# (net.core.somaxconn).
BACKLOG = 4096

# Clients that connect to "localhost" try either address, or both in turn.
LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))

# Without SO_REUSEADDR, the port of a server that has just ended stays taken for minutes. On
# Windows, the option would let two servers share one port.
REUSE_ADDRESS = os.name != "nt"

# With SO_REUSEPORT, Linux distributes connections among the sockets of one address. Elsewhere
# the last socket gets all of them, or the option does not exist.
HAS_QUEUES = sys.platform == "linux"

# The errors on machines without IPv6.
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}

_SocketAddress: TypeAlias = tuple[int, tuple[object, ...]]  # the family, and its form of address


async def open_listeners(*addresses: str) -> list[trio.SocketListener]:
    """Open listening TCP sockets for ``serve``, which closes them.

    Call it before ``nursery.start(serve, ...)``, and pass one list for all addresses.

    Args:
        addresses: such as ``127.0.0.1:8000`` or ``[::1]:8000``. ``localhost:8000`` means both
            loopback addresses, because clients may try either; a host name means all of its
            addresses. ``:8000`` means every address of the machine, so that other machines can
            connect. Without IPv6, ``localhost`` and ``:8000`` mean IPv4 alone. Port 0 means any
            free port, the same for all addresses of a name.

    Returns:
        The listeners; at least one for each address.

    Raises:
        ValueError: an address is malformed.
        OSError: an address cannot be used, for example because it is in use. No listener
            stays open.
    """
    listeners: list[trio.SocketListener] = []
    try:
        for address in addresses:
            host, port = parse_address(address)
            with _naming(address):
                await _open_all(host, port, listeners)
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


# Sharing an address among processes. With one socket for all, the process that wakes first accepts
# all waiting clients, and every process wakes for each client, because Trio has no
# EPOLLEXCLUSIVE. Of 64 clients that connected at once, the first of two workers served 64, 63
# and 43, and the first of eight workers 64, 53 and 26. With an accept queue for each worker
# (SO_REUSEPORT), the kernel distributes the clients by a hash of their addresses and wakes one
# process: 34 and 30 clients each, and between 3 and 13, with up to twice the throughput. The
# argument against such queues is that the clients in a queue are lost when its socket is
# closed. That does not happen in this server: the parent holds all sockets, and a worker takes
# over its predecessor's.


async def open_queues(number: int, *addresses: str) -> list[list[trio.SocketListener]]:
    """Return the listeners of ``open_listeners`` for ``number`` processes: a list for each.

    Each list has its own accept queues if the system distributes connections among them.
    Otherwise all lists contain the same sockets.
    """
    first = await open_listeners(*addresses)
    if not HAS_QUEUES:
        return [first] * number
    queues = [first, *([] for _ in range(number - 1))]
    try:
        for listener in first:
            # Only after binding: otherwise two servers could share a port by mistake.
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            family, address = listener.socket.family, listener.socket.getsockname()
            with _naming(address_text(address)):  # descriptors may have run out
                for queue in queues[1:]:
                    queue.append(await _open_socket(family, address, socket.SO_REUSEPORT))
    except BaseException:
        close_queues(queues)
        raise
    return queues


def close_queues(queues: Iterable[Sequence[trio.SocketListener]]) -> None:
    """Close the sockets in this process; a worker keeps those that it has taken over."""
    for queue in queues:
        for listener in queue:
            listener.socket.close()


def take_over(descriptors: Iterable[int]) -> list[trio.SocketListener]:
    """Return listeners for sockets that this process has inherited."""
    listeners = []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's own signature
        listening = trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor))
        listeners.append(trio.SocketListener(listening))
    return listeners


def parse_address(address: str) -> tuple[str, int]:
    """Return the host and the port of ``HOST:PORT``; an IPv6 address needs brackets."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not is_port or (":" in host) != bracketed:
        raise ValueError(f"not a valid HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000: {address}")
    return host, int(port)


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Name the address in errors raised in the block."""
    try:
        yield
    except UnicodeError as error:  # for names such as "a..b", which IDNA cannot encode
        raise ValueError(f"not a valid host name: {address}") from error
    except OSError as error:
        reason = f"cannot listen on {address}: {error.strerror}"
        raise OSError(error.errno, reason) from error


async def _open_all(host: str, port: int, listeners: list[trio.SocketListener]) -> None:
    """Append a new listener for each address of the host."""
    open_before, missing = len(listeners), None
    for family, address in await _addresses_of(host, port):
        try:
            listener = await _open_socket(family, (address[0], port, *address[2:]))
        except OSError as error:
            # "Every address" does not ask for IPv6 by name.
            if host not in {"", "localhost"} or error.errno not in _NO_SUCH_FAMILY:
                raise
            missing = error
        else:
            listeners.append(listener)
            port = listener.socket.getsockname()[1]
    if missing is not None and len(listeners) == open_before:
        raise missing


async def _addresses_of(host: str, port: int) -> list[_SocketAddress]:
    if host == "localhost":
        return [(family, (address, port)) for family, address in LOOPBACK]
    found = await trio.socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


async def _open_socket(
    family: int,
    address: tuple[object, ...],
    *options: int,
) -> trio.SocketListener:
    listening = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        if REUSE_ADDRESS:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in options:
            listening.setsockopt(socket.SOL_SOCKET, option, 1)
        await listening.bind(address)
        listening.listen(BACKLOG)
        return trio.SocketListener(listening)
    except BaseException:
        listening.close()
        raise


def address_text(address: Any) -> str:
    """Return a socket address as text, such as ``[::1]:80``, a path, or "local"."""
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case str(path) if path:
            return path
        case _:
            return "local"
