"""Protection against pages of other sites, by the host and the origin of a request.

A browser sends requests to any server that it can reach, for any page that it has open. Two
rules tell the server's own pages from those of other sites:

- The browser says which site a page is from (``Origin``, RFC 6454; ``Sec-Fetch-Site``,
  Fetch Metadata). That stops a page that makes the browser send a form or a script's request
  to another site (cross-site request forgery).
- The owner of a name can make it lead to this machine after the page has been loaded (DNS
  rebinding). To the browser, page and server are then one site. Only ``Host`` differs: it is
  a name that this server does not have.
"""

from __future__ import annotations

from collections.abc import Iterable

from trio_http.http1.app_lifetime import Servable, wrapping
from trio_http.http1.exchange import App, Exchange
from trio_http.semantics.authority import Authority, host_named, is_loopback
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers, text_of
from trio_http.semantics.origins import (
    is_from_browser,
    is_same_origin,
)
from trio_http.semantics.request import Request

# RFC 9110 9.2.1. Any other method may change something.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

# Values of Host that are remembered. Clients name a server in a few ways, and comparing a
# text takes a twentieth of the time of parsing it.
KNOWN = 64


def only_hosts(app: Servable, names: Iterable[str] = ()) -> App:
    """Return an app that answers only requests for the hosts of this server.

    This stops DNS rebinding: a page of another site cannot make a browser read or change
    anything under a name of its own. Use it for servers that only a firewall or a loopback
    address protects, and for any server whose names are known. Behind a proxy, name the host
    that clients ask the proxy for, unless the proxy replaces ``Host``.

    Args:
        app: answers the requests that are let through.
        names: domain names and IP addresses, without ports, because a tunnel or a container
            may have another port than the server. The loopback addresses, ``localhost`` and
            the names below it (RFC 6761 6.3) always count.

    Returns:
        An app with the lifetime of ``app``. It answers requests for another host, or for
        none, with 421 (RFC 9110 15.5.20). Only HTTP/1.0 requests can be without ``Host``,
        and browsers send none.

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

    This stops cross-site request forgery. A handler of GET that changes something is not
    protected. ``files`` does the same by itself.

    Args:
        app: answers the requests that are let through.
        hosts: names as for ``only_hosts``. With them, a page from a host of another name
            cannot change anything either (DNS rebinding), while programs other than browsers
            may name any host. None, the default, accepts all hosts.

    Returns:
        An app with the lifetime of ``app``. It passes on requests with a safe method (GET,
        HEAD, OPTIONS and TRACE, RFC 9110 9.2.1), and requests without ``Origin`` and
        ``Sec-Fetch-Site``, which are not from a page. It answers the others with 403 if they
        come from another origin, and with 421 if they are for another host.
        ``Sec-Fetch-Site`` decides if there is one; otherwise ``Origin`` has to be the scheme
        of the connection and ``Host``. Behind a proxy that terminates TLS, it therefore
        refuses browsers without ``Sec-Fetch-Site`` (Safari before 16.4, of 2023).

    Raises:
        ValueError: a host is neither a domain name nor an IP address.
    """
    ours = None if hosts is None else _Hosts(hosts)

    def guarding(inner: App) -> App:
        async def guarded(exchange: Exchange) -> None:
            request = exchange.request
            if request.method not in _SAFE_METHODS:
                if ours is not None and is_from_browser(request.headers):
                    ours.refuse_others(request.headers)
                refuse_other_origins(request)
            await inner(exchange)

        return guarded

    return wrapping(app, guarding)


def refuse_other_origins(request: Request) -> None:
    """Raise a 403 for a request by a page of another site.

    Programs other than browsers send neither ``Origin`` nor ``Sec-Fetch-Site``, and do what
    their users want.
    """
    if not is_same_origin(request.headers, request.scheme):
        raise HTTPError(403, "a page of another site cannot change anything on this server")


class _Hosts:
    """The hosts of a server: those that are named, and this machine."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ours = frozenset(map(host_named, names))
        self._known: set[bytes] = set()  # values of Host that name one of them

    def refuse_others(self, headers: Headers) -> None:
        """Raise a 421 for a request that names another host or none."""
        # A connection refuses requests with several. Almost always it is the first field.
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
