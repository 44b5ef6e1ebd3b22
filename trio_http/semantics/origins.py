"""The host that a request is for, and the origin that it comes from, compared by value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from trio_http.semantics.headers import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 3.2.2 and 3.2.3. Neither Host nor Origin holds user information.
_HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+;=%]+"
_AUTHORITY = re.compile(rf"({_HOST})(?::([0-9]{{0,5}}))?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")

# A name has up to 253 characters (RFC 1035 2.3.4), and the port six with its colon.
LONGEST = 260

# What domain names consist of, and what people use beside that.
_NAME = re.compile(r"[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]+)*\.?")


@dataclass(frozen=True, slots=True)
class Authority:
    """A host in its normal form and a port, where one is given (RFC 9110 7.2)."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Authority:
        """Parse the value of ``Host``, such as ``localhost:8000`` or ``[::1]``.

        Raises:
            ValueError: the text is empty or malformed, or longer than a name can be.
        """
        match = _AUTHORITY.fullmatch(text) if len(text) <= LONGEST else None
        if match is None or int(match[2] or 0) > 65535:
            raise ValueError("not a host with or without a port")
        return cls(_normal_host(match[1]), int(match[2]) if match[2] else None)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a browser takes for one site: a scheme, a host and a port (RFC 6454 4).

    ``port`` is None where it is not given and the scheme has no default.
    """

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Parse one origin as the field ``Origin`` has it (RFC 6454 7.1).

        Raises:
            ValueError: the text is malformed, a list, or ``null``, which stands for
                an origin that is like no other.
        """
        scheme, separator, authority = text.partition("://")
        if not separator or not _SCHEME.fullmatch(scheme):
            raise ValueError("not an origin")
        return cls.of(scheme.lower(), Authority.parse(authority))

    @classmethod
    def of(cls, scheme: str, authority: Authority) -> Origin:
        """Return the origin of everything that has this scheme and this authority."""
        port = _DEFAULT_PORTS.get(scheme) if authority.port is None else authority.port
        return cls(scheme, authority.host, port)


def host_named(name: str) -> str:
    """Return the normal form of a host that a person names: a domain name or an IP address.

    Raises:
        ValueError: it is neither, or has a port.
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
    """Names are the same in any case and with or without the root's dot (RFC 4343, RFC 1034 3.1).

    An IPv6 address can be written in many ways, and has one normal form (RFC 5952).
    """
    if host.startswith("["):
        return f"[{IPv6Address(host[1:-1])}]"
    return host.lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    """Tell whether a host in its normal form is this machine for every client.

    These are the loopback addresses and ``localhost`` with all names below it. Nobody
    can register such a name (RFC 6761 6.3), so none of them is a site of somebody else.
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


def is_from_browser(headers: Headers) -> bool:
    """Tell whether a request says where it comes from, as browsers alone do.

    A page cannot keep a browser from saying so with a request that changes something.
    """
    return not headers.names.isdisjoint({b"origin", b"sec-fetch-site"})


def is_same_origin(headers: Headers, scheme: str) -> bool:
    """Tell whether a request comes from a page of the server itself, or from no page.

    ``Sec-Fetch-Site`` decides where it is given: the browser has compared the addresses
    that it knows, which a proxy may have changed before they reach the server. Otherwise
    ``Origin`` is compared with ``Host`` and the scheme (RFC 6454 5). A request with
    neither field is not a browser's, or comes from no page.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}  # "none" is the user's own doing
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        own = Origin.of(scheme, Authority.parse(headers.get("Host") or ""))
        return Origin.parse(origin) == own
    except ValueError:
        return False
