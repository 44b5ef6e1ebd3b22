"""Keep pages of other sites out: by the host that a request is for and the origin it is from.

A browser sends requests to any server that it can reach, for any page that is open in
it. Two rules tell the server's own pages from those of other sites:

- The browser says which site a page is from (``Origin``, RFC 6454; ``Sec-Fetch-Site``,
  Fetch Metadata). That is enough against a page that sends a form or a script's request
  to another site (cross-site request forgery).
- A page can be from a name whose owner has it lead to this machine a moment later (DNS
  rebinding). To the browser both are one site, and only ``Host`` tells: it is a name
  that this server does not have.
"""

from __future__ import annotations

from collections.abc import Iterable

from trio_http.http1.exchange import App, Exchange
from trio_http.http1.lifetime import Servable, wrapping
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers, text_of
from trio_http.semantics.messages import Request
from trio_http.semantics.origins import (
    Authority,
    host_named,
    is_from_browser,
    is_loopback,
    is_same_origin,
)

# RFC 9110 9.2.1. A method that is not known to be safe may change something.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

# Clients name a server in a few ways. They are remembered, because to compare a text takes
# a twentieth of the time that it takes to parse it.
KNOWN = 64


def only_hosts(app: Servable, names: Iterable[str] = ()) -> App:
    """Return an app that answers only requests for hosts that the server has.

    Against DNS rebinding: a page of another site cannot have a browser read or change
    anything under a name of its own. It is for servers that a firewall or a loopback
    address shields, and for any server whose names are known.

    Args:
        app: what answers all requests that are let through.
        names: domain names and IP addresses, without a port. The loopback addresses
            and ``localhost`` with the names below it (RFC 6761 6.3) always count: they
            are nobody else's site. Any port is taken, because a tunnel or a container
            may have another one than the server.

    Returns:
        An app, with the lifetime of ``app``. A request for another host, or for
        none, gets a 421 (RFC 9110 15.5.20) and does not reach ``app``. Only HTTP/1.0 can
        leave ``Host`` out, and no browser does.

    Raises:
        ValueError: a name is neither a domain name nor an IP address.
    """
    hosts = _Hosts(names)

    def guarding(inner: App) -> App:
        async def guarded(exchange: Exchange) -> None:
            hosts.refuse_others(exchange.request.headers)
            await inner(exchange)

        return guarded

    return wrapping(app, guarding)


def only_same_origin(app: Servable, hosts: Iterable[str] | None = None) -> App:
    """Return an app in which pages of other sites cannot change anything.

    Against cross-site request forgery. ``files`` does this by itself.

    Args:
        app: what answers all requests that are let through.
        hosts: with names as for ``only_hosts``, even a page from a host of another name
            cannot change anything (DNS rebinding). Programs other than browsers may
            name any host. The default, None, lets all hosts pass.

    Returns:
        An app, with the lifetime of ``app``. Requests with a safe method (GET,
        HEAD, OPTIONS and TRACE, RFC 9110 9.2.1) pass; so do requests without ``Origin``
        and ``Sec-Fetch-Site``, which no page has sent. Of all others those that come from
        another origin get a 403, and those for another host a 421. ``Sec-Fetch-Site``
        decides where it is given; otherwise ``Origin`` has to be equal to the scheme of the
        connection and ``Host``. So behind a proxy that terminates TLS, browsers without
        ``Sec-Fetch-Site`` (Safari before 16.4, of 2023) are refused.

    Raises:
        ValueError: a host is neither a domain name nor an IP address.
    """
    ours = None if hosts is None else _Hosts(hosts)

    def guarding(inner: App) -> App:
        async def guarded(exchange: Exchange) -> None:
            request = exchange.request
            if request.method not in SAFE_METHODS:
                if ours is not None and is_from_browser(request.headers):
                    ours.refuse_others(request.headers)
                refuse_other_origins(request)
            await inner(exchange)

        return guarded

    return wrapping(app, guarding)


def refuse_other_origins(request: Request) -> None:
    """Raise a 403 for a request to change something that a page of another site has sent.

    Programs other than browsers send neither ``Origin`` nor ``Sec-Fetch-Site``, and do
    what their users want.
    """
    if not is_same_origin(request.headers, request.scheme):
        raise HTTPError(403, "a page of another site cannot change anything on this server")


class _Hosts:
    """The hosts that a server has: those that are named, and this machine."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ours = frozenset(map(host_named, names))
        self._known: set[bytes] = set()  # values of Host that have been found to name one

    def refuse_others(self, headers: Headers) -> None:
        """Raise a 421 for a request that names another host or none."""
        # A connection takes only requests with at most one Host. Almost always it comes first.
        for name, value in headers.raw:
            if name.lower() == b"host":
                if value in self._known or self._name(value):
                    return
                break
        raise HTTPError(421, "the request is for a host whose name this server does not have")

    def _name(self, value: bytes) -> bool:
        try:
            host = Authority.parse(text_of(value)).host
        except ValueError:
            return False
        is_ours = host in self._ours or is_loopback(host)
        if is_ours and len(self._known) < KNOWN:
            self._known.add(value)
        return is_ours
