"""Formats the addresses of a server, also as URLs that a terminal can open."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

# An address on another network, which no machine has (RFC 5737), and any port.
_ELSEWHERE = ("192.0.2.1", 9)


def listening_line(binds: Sequence[str], addresses: Sequence[str]) -> str:
    """Return the log line with the addresses of a server and the URLs that reach it.

    Args:
        binds: the addresses as the user gave them.
        addresses: the addresses that the server listens on. If all binds are ``localhost``,
            the line says that instead of both loopback addresses.
    """
    if all(bind.startswith("localhost:") for bind in binds):
        ports = {address.rpartition(":")[2] for address in addresses}
        addresses = [f"localhost:{port}" for port in sorted(ports)]
    urls = ", ".join(f"http://{host}" for host in _reachable(addresses))
    return f"[SERVER STARTED] Listening on {', '.join(addresses)}, reachable at {urls}"


def _reachable(addresses: Iterable[str]) -> Iterator[str]:
    """Yield ``HOST:PORT`` for each address, but only one for ``0.0.0.0`` and ``[::]``."""
    seen = set()
    for address in addresses:
        host, _, port = address.rpartition(":")
        reachable = f"{own_address()}:{port}" if _is_unspecified(host) else address
        if reachable not in seen:
            seen.add(reachable)
            yield reachable


def _is_unspecified(host: str) -> bool:
    """Return whether a host means all addresses of this machine."""
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_unspecified
    return False


def own_address() -> str:
    """Return the IPv4 address at which other machines reach this one, or ``localhost``.

    Connecting a datagram socket sends nothing; the kernel only looks up a route.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)
        return str(probe.getsockname()[0])
    return "localhost"
