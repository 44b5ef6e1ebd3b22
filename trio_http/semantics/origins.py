"""The origin of a request, compared with that of the server (RFC 6454)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trio_http.semantics.authority import Authority
from trio_http.semantics.headers import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a web site: a scheme, a host and a port (RFC 6454 4).

    ``port`` is None if it is not given and the scheme has no default.
    """

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Parse a single origin in the syntax of the field ``Origin`` (RFC 6454 7.1).

        Raises:
            ValueError: the text is malformed, a list, or ``null``, which stands for an origin
                that equals no other.
        """
        scheme, separator, authority = text.partition("://")
        if not separator or not _SCHEME.fullmatch(scheme):
            raise ValueError("not a valid origin")
        return cls.of(scheme.lower(), Authority.parse(authority))

    @classmethod
    def of(cls, scheme: str, authority: Authority) -> Origin:
        """Return the origin with this scheme and authority."""
        port = _DEFAULT_PORTS.get(scheme) if authority.port is None else authority.port
        return cls(scheme, authority.host, port)


def is_from_browser(headers: Headers) -> bool:
    """Return whether a request states its origin, as only browsers do.

    A page cannot stop the browser from doing so in a request that changes something.
    """
    return not headers.names.isdisjoint({b"origin", b"sec-fetch-site"})


def is_same_origin(headers: Headers, scheme: str) -> bool:
    """Return whether a request comes from a page of the server itself, or from no page.

    ``Sec-Fetch-Site`` decides if present: the browser has compared the addresses that it knows,
    which a proxy may change before they reach the server. Otherwise ``Origin`` is compared with
    ``Host`` and the scheme (RFC 6454 5). A request with neither field is not from a browser, or
    from no page.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}  # "none": the user entered the URL
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        own = Origin.of(scheme, Authority.parse(headers.get("Host") or ""))
        return Origin.parse(origin) == own
    except ValueError:
        return False
