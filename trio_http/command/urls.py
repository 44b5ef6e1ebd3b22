"""The addresses of a server as people write them, and as URLs that a terminal can open."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address

# A route to it is what other machines are reached by (RFC 5737: no machine has it).
_ELSEWHERE = ("192.0.2.1", 9)


def listening_line(binds: Sequence[str], addresses: Sequence[str]) -> str:
    """Return where a server listens, and the URLs under which it can be reached.

    Args:
        binds: what it was told to listen on.
        addresses: what it listens on. Both loopback addresses are ``localhost`` where that
            is what it was told.
    """
    if all(bind.startswith("localhost:") for bind in binds):
        ports = {address.rpartition(":")[2] for address in addresses}
        addresses = [f"localhost:{port}" for port in sorted(ports)]
    urls = ", ".join(f"http://{host}" for host in _reachable(addresses))
    return f"[SERVER STARTED] Listening on {', '.join(addresses)}, reachable at {urls}"


def _reachable(addresses: Iterable[str]) -> Iterator[str]:
    """Yield ``HOST:PORT`` for each address; one for both families of all addresses."""
    seen = set()
    for address in addresses:
        host, _, port = address.rpartition(":")
        reachable = f"{own_address()}:{port}" if _is_unspecified(host) else address
        if reachable not in seen:
            seen.add(reachable)
            yield reachable


def _is_unspecified(host: str) -> bool:
    """Return whether a host stands for all addresses of this machine."""
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_unspecified
    return False


def own_address() -> str:
    """Return the IPv4 address under which others reach this machine, or ``localhost``.

    To connect a datagram socket sends nothing: it only asks for a route.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)
        return str(probe.getsockname()[0])
    return "localhost"
