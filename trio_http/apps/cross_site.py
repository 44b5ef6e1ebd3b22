"""Protection against pages of other sites, by the host and the origin of a request.

A browser sends requests to any server that it can reach, on behalf of any page that is open.
Two rules tell the server's own pages from those of other sites:

- The browser names the site of the page (``Origin``, RFC 6454; ``Sec-Fetch-Site``, Fetch
  Metadata). This stops cross-site request forgery: a page that makes the browser send a form or
  a script's request to another site.
- The owner of a domain can point it at this machine after the page has been loaded (DNS
  rebinding). To the browser, page and server are then one site. Only ``Host`` differs: it is
  not a name of this server.
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

# RFC 9110 9.2.1. All other methods may change something.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

# The maximum number of cached values of Host. Clients name a server in a few ways, and
# comparing a text takes a twentieth of the time of parsing it.
KNOWN = 64


def only_hosts(app: Servable, names: Iterable[str] = ()) -> App:
    """Return an app that accepts only requests for the hosts of this server.

    This stops DNS rebinding: a page of another site cannot make a browser read or change
    anything under the site's own name. Use it for servers that only a firewall or a loopback
    address protects, and for any server whose names are known. Behind a proxy, list the host
    that clients send to the proxy, unless the proxy replaces ``Host``.

    Args:
        app: the app for accepted requests.
        names: domain names and IP addresses, without ports, because a tunnel or a container may
            use another port than the server. The loopback addresses, ``localhost`` and the
            names below it (RFC 6761 6.3) are always accepted.

    Returns:
        An app with the lifetime of ``app``. Requests for other hosts, or without a host, get a
        421 (RFC 9110 15.5.20). Only HTTP/1.0 requests can lack ``Host``, and browsers do not
        send those.

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

    This stops cross-site request forgery. It does not protect a GET handler that changes
    something. ``files`` already does the same.

    Args:
        app: the app for accepted requests.
        hosts: names as for ``only_hosts``. With them, a page from any other host cannot change
            anything either (DNS rebinding), while programs other than browsers may name any
            host. None, the default, accepts all hosts.

    Returns:
        An app with the lifetime of ``app``. It accepts requests with a safe method (GET, HEAD,
        OPTIONS and TRACE, RFC 9110 9.2.1), and requests without ``Origin`` and
        ``Sec-Fetch-Site``, which do not come from a page. All others get a 403 if they come
        from another origin, and a 421 if they are for another host. ``Sec-Fetch-Site`` decides
        if present; otherwise ``Origin`` must equal the scheme of the connection and ``Host``.
        Behind a proxy that terminates TLS, browsers without ``Sec-Fetch-Site`` (Safari before
        16.4, of 2023) are therefore rejected.

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
    """Raise a 403 for a request from a page of another site.

    Programs other than browsers send neither ``Origin`` nor ``Sec-Fetch-Site``, and act for
    their users.
    """
    if not is_same_origin(request.headers, request.scheme):
        raise HTTPError(403, "a page of another site cannot change anything on this server")


class _Hosts:
    """The hosts of a server: the given names, and the names of this machine."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ours = frozenset(map(host_named, names))
        self._known: set[bytes] = set()  # accepted values of Host

    def refuse_others(self, headers: Headers) -> None:
        """Raise a 421 for a request that names another host or none."""
        # Requests with several Host fields have already been rejected. Host is usually the
        # first field.
        for name, value in headers.raw:
            if name.lower() == b"host":
                if value in self._known or self._name(value):
                    return
                break
        raise HTTPError(421, "the host of the request is not a name of this server")

    def _name(self, value: bytes) -> bool:
        try:
            host = Authority.parse(text_of(value)).host
        except ValueError:
            return False
        is_ours = host in self._ours or is_loopback(host)
        if is_ours and len(self._known) < KNOWN:
            self._known.add(value)
        return is_ours
