"""Listening sockets, by addresses as people write them."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import trio

# Linux takes the smaller of this and its own limit (net.core.somaxconn): as
# many as may connect while we are busy, without one being turned away.
BACKLOG = 4096

# Clients that are told "localhost" try one or the other, or one after the other.
LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))

# A server that has just ended leaves its port taken for minutes unless the next
# one asks for this. On Windows it would let two servers share one port.
REUSE_ADDRESS = os.name != "nt"

# Linux shares connections out among sockets that listen in one place; elsewhere this
# option has the last of them get all, or is not there.
HAS_QUEUES = sys.platform == "linux"

# A machine without IPv6 says so in one of these ways.
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}

_SocketAddress: TypeAlias = tuple[int, tuple[object, ...]]  # the family, and what it asks for


async def open_listeners(*addresses: str) -> list[trio.SocketListener]:
    """Open listening TCP sockets, for ``serve``, which closes them.

    Call it before ``nursery.start(serve, ...)``, and pass one list for all addresses.

    Args:
        addresses: such as ``127.0.0.1:8000`` or ``[::1]:8000``. ``localhost:8000`` means both
            loopback addresses, because clients may try either; a name means all of its
            addresses. ``:8000`` means every address of the machine, so that other machines
            can connect. Without IPv6, ``localhost`` and ``:8000`` mean IPv4 alone. Port 0
            means any free port, the same for all addresses of a name.

    Returns:
        The listeners; at least one for each address.

    Raises:
        ValueError: an address is malformed.
        OSError: an address cannot be used, as when another program listens there. No
            listener stays open.
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


# How processes share a place to listen. With one socket for all, whoever is woken
# first takes all who are waiting, and Trio has no EPOLLEXCLUSIVE, so everybody is
# woken for each: of 64 clients that came at once, the first of two workers served
# 64, 63 and 43, and of eight workers 64, 53 and 26. With a queue for each worker
# (SO_REUSEPORT) the kernel deals them out by a hash of the addresses, and wakes
# one: 34 and 30, and between 3 and 13, which made up to twice the throughput. What
# speaks against queues is that each dies with its socket, and everybody in it. Here
# it does not: the parent holds all sockets, and a worker takes over its predecessor's.


async def open_queues(number: int, *addresses: str) -> list[list[trio.SocketListener]]:
    """Listeners as of ``open_listeners`` for so many processes: one list for each.

    Each has a queue of its own where the system shares connections out among
    them, else all have the same sockets.
    """
    first = await open_listeners(*addresses)
    if not HAS_QUEUES:
        return [first] * number
    queues = [first, *([] for _ in range(number - 1))]
    try:
        for listener in first:
            # Only now, or two servers could share one port by mistake.
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            family, address = listener.socket.family, listener.socket.getsockname()
            with _naming(address_text(address)):  # there may be no more descriptors
                for queue in queues[1:]:
                    queue.append(await _open_socket(family, address, socket.SO_REUSEPORT))
    except BaseException:
        close_queues(queues)
        raise
    return queues


def close_queues(queues: Iterable[Sequence[trio.SocketListener]]) -> None:
    """Close the sockets in this process; those that another has taken over stay open there."""
    for queue in queues:
        for listener in queue:
            listener.socket.close()


def take_over(descriptors: Iterable[int]) -> list[trio.SocketListener]:
    """Listeners for sockets that this process was started with."""
    listeners = []
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the library's own way to say it
        listening = trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor))
        listeners.append(trio.SocketListener(listening))
    return listeners


def parse_address(address: str) -> tuple[str, int]:
    """``HOST:PORT`` taken apart; an IPv6 address stands in brackets."""
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not colon or not is_port or (":" in host) != bracketed:
        raise ValueError(f"not HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000: {address}")
    return host, int(port)


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Have errors say which address they are about."""
    try:
        yield
    except UnicodeError as error:  # what becomes of "a..b", in the coding of names (IDNA)
        raise ValueError(f"not the name of a host: {address}") from error
    except OSError as error:
        reason = f"cannot listen on {address}: {error.strerror}"
        raise OSError(error.errno, reason) from error


async def _open_all(host: str, port: int, listeners: list[trio.SocketListener]) -> None:
    """Add a listener for each address of the host to those that are open already."""
    open_before, missing = len(listeners), None
    for family, address in await _addresses_of(host, port):
        try:
            listener = await _open_socket(family, (address[0], port, *address[2:]))
        except OSError as error:
            # Whoever asked for "every address" has not asked for IPv6 by name.
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
    """A socket's address for people: ``127.0.0.1:80``, ``[::1]:80``, a path, or "local"."""
    match address:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case str(path) if path:
            return path
        case _:
            return "local"
