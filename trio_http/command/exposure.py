"""Derives from its addresses which machines can reach a server, and under which names."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from trio_http.serving.listeners import parse_address


def reachable_from_outside(binds: Sequence[str]) -> str | None:
    """Return the first ``HOST:PORT`` that other machines may be able to reach, or None."""
    for bind in binds:
        if not _is_loopback(parse_address(bind)[0]):
            return bind
    return None


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host; the only such name is ``localhost``."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def enforced_hosts(binds: Sequence[str], names: Sequence[str]) -> Sequence[str] | None:
    """Return the host names that requests may use, or None to allow all.

    Without given names, a server that only this machine can reach is ``localhost``. A web page
    that uses another name has made its own name resolve to this machine (DNS rebinding). A
    server that other machines can reach may have any name.
    """
    return names if names or reachable_from_outside(binds) is None else None
