"""Tests of accepting requests by their host and by the site that they come from."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction

import pytest
from support import NO_BODY

from trio_http.apps.cross_site import (
    KNOWN,
    only_hosts,
    only_same_origin,
    refuse_other_origins,
)
from trio_http.http1.app_lifetime import Servable, answering
from trio_http.http1.exchange import App, Exchange
from trio_http.semantics.authority import LONGEST
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.methods import METHODS
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.testing import open_client


@answering
async def say_method(request: Request) -> Response:
    return Response.text(request.method)


async def status_of(app: App, method: str, *fields: tuple[str, str]) -> int:
    async with open_client(app) as client:
        return (await client.request(method, "/", fields)).status


@pytest.mark.parametrize("wrap", [only_hosts, only_same_origin])
async def test_lifetime_of_the_app_is_kept(wrap: Callable[[Servable], App]) -> None:
    steps = []

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        steps.append("begun")
        yield say_method
        steps.append("over")

    assert await status_of(wrap(lifetime()), "GET", ("Host", "localhost")) == 200
    assert steps == ["begun", "over"]


# Hosts


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:4221", 200),
        ("LOCALHOST.:1", 200),
        ("app.localhost", 200),
        ("127.0.0.1:4221", 200),
        ("127.1.2.3", 200),
        ("[::1]:4221", 200),
        ("[0:0::1]", 200),
        ("Files.Example.org:8443", 200),
        ("files.example.org.", 200),
        ("192.168.1.5", 200),
        ("[fe80::0:1]:80", 200),
        ("evil.example:4501", 421),
        ("localhost.evil.example", 421),
        ("evil.example.", 421),
        ("example.org", 421),
        ("a.files.example.org", 421),
        ("192.168.1.6", 421),
        ("8.8.8.8", 421),
        ("[::2]", 421),
        ("", 421),
        ("x" * 280, 421),
        ("a" * (LONGEST - 10) + ".localhost", 200),
        ("a" * (LONGEST - 9) + ".localhost", 400),  # longer than a name can be
    ],
)
async def test_requests_for_other_hosts_get_421(method: str, host: str, status: int) -> None:
    app = only_hosts(say_method, ["files.example.ORG", "192.168.1.5", "fe80::1"])
    assert await status_of(app, method, ("Host", host)) == status
    assert await status_of(app, method, ("X-Before", "it"), ("hOST", host)) == status


async def test_any_number_of_spellings_is_accepted() -> None:
    async with open_client(only_hosts(say_method, ["test"])) as client:
        for turn in range(KNOWN + 2):
            for host, status in ((f"test:{turn}", 200), (f"test{turn}", 421)):
                assert (await client.get("/", [("Host", host)])).status == status


async def test_only_loopback_hosts_are_accepted_without_names() -> None:
    for host, status in {"localhost": 200, "[::1]:1": 200, "test": 421}.items():
        assert await status_of(only_hosts(say_method), "GET", ("Host", host)) == status


async def test_page_that_uses_dns_rebinding_gets_421() -> None:
    # To the browser it is the same site; only the name differs.
    page = [("Origin", "http://evil.example:4501"), ("Sec-Fetch-Site", "same-origin")]
    for method in ("GET", "PUT", "DELETE"):
        fields = [("Host", "evil.example:4501"), *page]
        assert await status_of(only_hosts(say_method), method, *fields) == 421


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", b"421"),  # the host is unknown
        (b"GET / HTTP/1.0\r\nX: y\r\n\r\n", b"421"),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", b"200"),
        # RFC 9112 3.2.2: the authority in the target is the host.
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"421"),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"200"),
        (b"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
    ],
)
async def test_host_is_taken_from_target_or_field(head: bytes, status: bytes) -> None:
    async with open_client(only_hosts(say_method)) as client:
        await client.send(head)
        assert (await client.response()).status == int(status)


async def test_421_reaches_a_client_that_sends_a_body() -> None:
    async with open_client(only_hosts(say_method)) as client:
        answer = await client.request("PUT", "/", [("Host", "evil.example")], bytes(1000))
        assert (answer.status, answer.reason) == (421, "Misdirected Request")
        assert (await client.get("/", [("Host", "localhost")])).status == 200


@pytest.mark.parametrize("name", ["", "a:80", "http://a", "[::1]:80", "*.example.org"])
def test_malformed_name_raises_value_error(name: str) -> None:
    for wrap in (only_hosts, only_same_origin):
        with pytest.raises(ValueError, match="not a domain name or an IP address"):
            wrap(say_method, ["localhost", name])


@pytest.mark.parametrize("app", [only_hosts(say_method), only_same_origin(say_method)])
def test_result_is_an_async_function(app: App) -> None:
    assert iscoroutinefunction(app)  # by which the command line recognizes an app


# Origins

SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


@pytest.mark.parametrize("method", [*sorted(METHODS - {"CONNECT"}), "BREW", "get"])
@pytest.mark.parametrize(
    ("fields", "is_own"),
    [
        ([], True),  # not a browser
        ([("Sec-Fetch-Site", "same-origin")], True),
        ([("Sec-Fetch-Site", "none")], True),
        ([("Origin", "http://test")], True),
        ([("Sec-Fetch-Site", "same-site")], False),
        ([("Sec-Fetch-Site", "cross-site")], False),
        ([("Origin", "https://test")], False),
        ([("Origin", "http://evil.example")], False),
        ([("Origin", "null")], False),
        ([("Origin", "")], False),
    ],
)
async def test_unsafe_methods_from_other_sites_get_403(
    method: str, fields: list[tuple[str, str]], is_own: object
) -> None:
    status = 200 if is_own or method in SAFE else 403
    assert await status_of(only_same_origin(say_method), method, *fields) == status


def request_of(scheme: str, *fields: tuple[str, str]) -> Request:
    return Request("PUT", "/", "1.1", Headers(fields), NO_BODY, "local", scheme)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_origin_with_another_scheme_raises_403(scheme: str) -> None:
    other = {"http": "https", "https": "http"}[scheme]
    refuse_other_origins(request_of(scheme, ("Host", "test"), ("Origin", f"{scheme}://test")))
    with pytest.raises(HTTPError, match="another site") as refusal:
        refuse_other_origins(request_of(scheme, ("Host", "test"), ("Origin", f"{other}://test")))
    assert refusal.value.status == 403


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    ("fields", "host", "hosts", "status"),
    [
        # Programs may name any host, but pages only the server's own.
        ([], "evil.example", [], 200),
        ([("Sec-Fetch-Site", "same-origin")], "evil.example", [], 421),
        ([("Sec-Fetch-Site", "none")], "evil.example", [], 421),
        ([("Origin", "http://evil.example")], "evil.example", [], 421),
        ([("Origin", "http://evil.example")], "evil.example", None, 200),
        ([("Origin", "http://evil.example")], "evil.example", ["evil.example"], 200),
        ([("Origin", "http://localhost:1")], "localhost:1", [], 200),
        ([("Origin", "http://localhost:2")], "localhost:1", [], 403),
        ([("Origin", "http://test")], "", [], 421),
    ],
)
async def test_unsafe_methods_of_pages_on_other_hosts_get_421(
    method: str, fields: list[tuple[str, str]], host: str, hosts: list[str] | None, status: int
) -> None:
    app = only_same_origin(say_method, hosts)
    expected = status if method == "PUT" else 200
    assert await status_of(app, method, ("Host", host), *fields) == expected


async def test_rejected_requests_do_not_reach_the_app() -> None:
    async def unreached(exchange: Exchange) -> None:
        raise AssertionError

    evil = ("Host", "evil.example")
    assert await status_of(only_hosts(unreached), "GET", evil) == 421
    assert await status_of(only_same_origin(unreached), "PUT", ("Origin", "null")) == 403
    assert await status_of(only_same_origin(unreached, []), "PUT", evil, ("Origin", "x")) == 421
