"""Hosts and ports, with one grammar for all header fields and targets (RFC 3986 3.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

# 0 to 65535, with leading zeros up to five digits.
PORT = r"[0-5]?[0-9]{1,4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

# RFC 3986 3.2.2 and 3.2.3, except user information, which neither Host nor Origin has, and the
# comma, which would make a list of hosts look like one host. Brackets contain an IPv6 address:
# the RFC also allows future kinds (IPvFuture), which a server rejects unless it knows them, and
# none exists. Zone identifiers (RFC 6874) mean something on one machine only.
_AUTHORITY = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)"
    rf"(?::({PORT})?)?"
)

# A name has at most 255 characters (RFC 3986 3.2.2), and a port at most five.
LONGEST = 300  # characters of an authority

# Domain names, including the underscore, which is not allowed but in use.
_NAME = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*\.?")


@dataclass(frozen=True, slots=True)
class Authority:
    """A host in its normal form, with an optional port (RFC 9110 7.2)."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Authority:
        """Parse the value of ``Host``, such as ``localhost:8000`` or ``[::1]``.

        The authority of an absolute request target has the same grammar (RFC 9112 3.2.2).

        Raises:
            ValueError: the text is empty, malformed, or longer than a name can be.
        """
        match = _AUTHORITY.fullmatch(text) if len(text) <= LONGEST else None
        if match is None:
            raise ValueError("not a valid host with an optional port")
        return cls(_normal_host(match[1]), int(match[2]) if match[2] else None)


def host_named(name: str) -> str:
    """Return the normal form of a domain name or an IP address that a person has entered.

    Raises:
        ValueError: the text is neither, or has a port.
    """
    if _NAME.fullmatch(name):
        return _normal_host(name)
    try:
        authority = Authority.parse(name if name.startswith("[") else f"[{name}]")
    except ValueError:
        authority = None
    if authority is None or authority.port is not None:
        raise ValueError(f"not a domain name or an IP address without a port: {name}")
    return authority.host


def _normal_host(host: str) -> str:
    """Return the normal form of a host.

    Names are equal in any case, with or without the final dot (RFC 4343, RFC 1034 3.1). Of the
    spellings of an IPv6 address, one is normal (RFC 5952).
    """
    if host.startswith("["):
        return f"[{IPv6Address(host[1:-1])}]"
    return host.lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    """Return whether a host in its normal form means this machine to every client.

    These are the loopback addresses, ``localhost``, and all names below it. No one can register
    such a name (RFC 6761 6.3), so none of them can be a foreign site.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        if not host.startswith("["):
            return IPv4Address(host).is_loopback
        address = IPv6Address(host[1:-1])
        return (address.ipv4_mapped or address).is_loopback
    except AddressValueError:
        return False
