"""Who can reach a server, as far as the addresses that it listens on tell."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from trio_http.serving.listeners import parse_address


def reachable_from_outside(binds: Sequence[str]) -> str | None:
    """Return the first of some ``HOST:PORT`` that other machines may reach, or None."""
    for bind in binds:
        if not _is_loopback(parse_address(bind)[0]):
            return bind
    return None


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host; of names, that is certain of one."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def enforced_hosts(binds: Sequence[str], names: Sequence[str]) -> Sequence[str] | None:
    """Return the names under which clients reach the server, or None where any will do.

    Names that are given are enforced. Without them, a server that only this machine can
    reach has no name but ``localhost``: a page of another site that names it otherwise
    has had its own name lead to this machine (DNS rebinding). A server that others can
    reach may have any name.
    """
    return names if names or reachable_from_outside(binds) is None else None
