"""Tests of routes: matching, handlers, mounts, lifetimes and wrong use."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol

import pytest
import trio

from trio_http.apps.routing import RouteHandler, Router
from trio_http.http1.app_lifetime import AppWithLifetime, answering
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import Failure, Record, ServerEvent
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.testing import open_client


def saying(text: str) -> RouteHandler:
    async def handler(request: Request, **names: object) -> Response:
        return Response.text(text)

    return handler


async def tell_names(request: Request, **names: object) -> Response:
    return Response.json(names)


async def tell_place(exchange: Exchange) -> None:
    request = exchange.request
    await exchange.respond(Response.text(f"{request.method} {request.mount} {request.path}"))


# Routes


async def test_handler_receives_the_names_as_keywords() -> None:
    app = Router()

    @app.get("/{first}/{second}")
    async def handler(request: Request, second: str, first: str) -> Response:
        return Response.text(f"{first} then {second}")

    async with open_client(app) as client:
        assert (await client.get("/1/2")).body == b"1 then 2"


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, ".handler returned None instead of a Response: return Response(204) "),
        (["a"], ".handler returned a value of type list instead of a Response: "),
        (Response(200, {"Content-Length": "9"}, b"short"), "Content-Length ['9'] on a body"),
    ],
)
async def test_handler_whose_response_cannot_be_sent_gets_500(returned: Any, expected: str) -> None:
    app, told = Router(), list[ServerEvent]()

    @app.get("/{name}")
    async def handler(request: Request, name: str) -> Response:
        response: Response = returned
        return response

    async with open_client(app, report=told.append) as client:
        assert (await client.get("/a")).status == 500
    (failure,) = [event for event in told if isinstance(event, Failure)]
    assert expected in str(failure.error)


async def test_query_does_not_affect_routing() -> None:
    app = Router()
    app.get("/a")(saying("a"))
    app.get("/b/{name}")(tell_names)
    async with open_client(app) as client:
        assert (await client.get("/a?/b")).body == b"a"
        assert (await client.get("/b/c?d=/e")).body == b'{"name":"c"}'


async def test_escaped_slash_does_not_match_a_slash() -> None:
    app = Router()
    app.get("/a/b")(saying("a/b"))
    async with open_client(app) as client:
        assert (await client.get("/a%2Fb")).status == 404


@pytest.mark.parametrize("pattern", ["/~bob/{name}", "/%7Ebob/{name}", "/%7ebob/./{name}"])
@pytest.mark.parametrize("fixed", ["/caf%c3%a9", "/caf%C3%A9", "/c%61f%C3%a9", "/x/../caf%C3%A9"])
async def test_all_spellings_of_a_path_reach_the_same_route(pattern: str, fixed: str) -> None:
    app = Router()
    app.get(pattern)(tell_names)
    app.get(fixed)(saying("coffee"))
    async with open_client(app) as client:
        for path in ("/~bob/a", "/%7Ebob/%61", "/%7ebob/./a", "/./~bob/x/../a"):
            assert (await client.get(path)).body == b'{"name":"a"}'
        for path in ("/caf%C3%A9", "/caf%c3%a9", "/%63af%c3%A9", "/a/../caf%C3%A9"):
            assert (await client.get(path)).body == b"coffee"
        assert (await client.get("/caf%C3%A9/")).status == 404


# RFC 3986 lets the server decide whether these are equivalent. For files they are, so it must
# not be possible to bypass a route that guards some of them by another spelling.
@pytest.mark.parametrize("spelling", ["/it's!", "/it%27s!", "/it's%21", "/%69t%27s%21"])
async def test_escapes_of_reserved_characters_reach_the_same_route(spelling: str) -> None:
    fixed, names, mounted = Router(), Router(), Router()
    fixed.get(spelling)(saying("fixed"))
    names.get(f"{spelling}/{{name}}")(tell_names)
    mounted.mount(spelling, tell_place)
    for sent in ("/it's!", "/it%27s!", "/it's%21", "/it%27s%21"):
        async with open_client(fixed) as client:
            assert (await client.get(sent)).body == b"fixed"
        async with open_client(names) as client:
            assert (await client.get(f"{sent}/a%21!")).body == b'{"name":"a!!"}'
        async with open_client(mounted) as client:
            # The app sees the rest of the path in the client's spelling.
            assert (await client.get(f"{sent}/a%21!")).body == f"GET {sent} /a%21!".encode()
            assert (await client.get(sent)).body == f"GET {sent} /".encode()
            assert (await client.get(f"{sent}%21/a")).status == 404


@pytest.mark.parametrize("sent", ['/a"b', "/a%22b"])
async def test_invalid_uri_characters_match_their_escapes(sent: str) -> None:
    app = Router()
    app.get("/a%22b")(saying("quoted"))
    async with open_client(app) as client:
        assert (await client.get(sent)).body == b"quoted"
        assert (await client.request("OPTIONS", "*")).status == 204


async def test_records_have_the_target_as_it_was_sent() -> None:
    events: list[ServerEvent] = []
    app = Router()
    app.get("/~bob")(saying("bob"))
    async with open_client(app, report=events.append) as client:
        assert (await client.get("/./%7ebob?%61")).status == 200
    (record,) = [event for event in events if isinstance(event, Record)]
    assert record.line == b"GET /./%7ebob?%61 HTTP/1.1"
    assert record.request is not None
    assert (record.request.target, record.request.path) == ("/./%7ebob?%61", "/~bob")


async def test_first_matching_pattern_wins() -> None:
    app = Router()
    app.get("/a/{x}")(tell_names)
    app.get("/{y}/b")(tell_names)
    app.get("/a/{z:path}")(tell_names)
    async with open_client(app) as client:
        assert (await client.get("/a/b")).body == b'{"x":"b"}'
        assert (await client.get("/c/b")).body == b'{"y":"c"}'
        assert (await client.get("/a/b/c")).body == b'{"z":"b/c"}'


async def test_fixed_path_wins_over_patterns() -> None:
    app = Router()
    app.get("/users/{name}")(saying("anybody"))
    app.get("/users/me")(saying("me"))
    async with open_client(app) as client:
        assert (await client.get("/users/me")).body == b"me"
        assert (await client.get("/users/you")).body == b"anybody"


async def test_int_is_passed_as_a_number_and_other_text_gets_404() -> None:
    app = Router()

    @app.get("/users/{id:int}")
    async def handler(request: Request, id: int) -> Response:  # noqa: A002 - what users write
        return Response.text(f"number {id + 1}")

    async with open_client(app) as client:
        assert (await client.get("/users/41")).body == b"number 42"
        assert (await client.get("/users/me")).status == 404
        app.get("/users/{name}")(tell_names)
        assert (await client.get("/users/41")).body == b"number 42"
        assert (await client.get("/users/me")).body == b'{"name":"me"}'


@pytest.mark.parametrize("path", ["/a", "/{name}"])
async def test_each_method_has_its_own_handler(path: str) -> None:
    app = Router()

    async def tell_method(request: Request, **names: str) -> Response:
        return Response.text(request.method)

    for add in (app.get, app.post, app.put, app.patch, app.delete):
        assert add(path)(tell_method) is tell_method
    app.route("PROPFIND", path)(tell_method)
    app.get("/other")(saying("other"))
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]
    async with open_client(app) as client:
        for method in methods:
            assert (await client.request(method, "/a")).body == method.encode()
        options = await client.request("OPTIONS", "/a")
        assert options.headers["Allow"] == ", ".join(sorted([*methods, "HEAD", "OPTIONS"]))


async def test_head_is_handled_by_the_handler_of_get() -> None:
    app = Router()
    app.get("/")(saying("hello"))
    async with open_client(app) as client:
        answer = await client.request("HEAD", "/")
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "5", b"")
        # A body, if one had been sent, would come before this response.
        assert (await client.get("/")).body == b"hello"


async def test_head_can_have_its_own_handler() -> None:
    app = Router()
    app.get("/")(saying("hello"))

    @app.route("HEAD", "/")
    async def head(request: Request) -> Response:
        return Response(204)

    async with open_client(app) as client:
        assert (await client.request("HEAD", "/")).status == 204


async def test_options_gets_allow() -> None:
    app = Router()
    app.get("/a")(saying("a"))
    app.post("/b/{name}")(tell_names)
    async with open_client(app) as client:
        answer = await client.request("OPTIONS", "/a")
        assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
        answer = await client.request("OPTIONS", "/b/c")
        assert (answer.status, answer.headers["Allow"]) == (204, "OPTIONS, POST")


async def test_options_can_have_its_own_handler() -> None:
    app = Router()
    app.route("OPTIONS", "/")(saying("mine"))
    async with open_client(app) as client:
        assert (await client.request("OPTIONS", "/")).body == b"mine"


async def test_options_for_the_whole_server_gets_204() -> None:
    app = Router()
    app.get("/{rest:path}")(tell_names)
    async with open_client(app) as client:
        answer = await client.request("OPTIONS", "*")  # RFC 9110 9.3.7
        assert (answer.status, answer.body) == (204, b"")


# TRACE would send back secrets of the client, such as cookies (RFC 9110 9.3.8).
@pytest.mark.parametrize("method", ["DELETE", "TRACE"])
async def test_unsupported_method_gets_405_with_allow(method: str) -> None:
    app = Router()
    app.get("/a")(saying("a"))
    app.put("/a")(saying("a"))
    async with open_client(app) as client:
        answer = await client.request(method, "/a")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
        assert (await client.request(method, "/b")).status == 404


async def test_unknown_method_gets_501() -> None:
    # RFC 9110 9.1: 501 for any path; 405 is for known methods.
    app = Router()
    app.get("/a")(saying("a"))
    app.route("PROPFIND", "/b/{name}")(tell_names)
    app.mount("/c", tell_place, methods=["SEARCH"])
    app.mount("/d", tell_place)
    async with open_client(app) as client:
        for path in ("/a", "/b/x", "/c", "/e"):
            answer = await client.request("BREW", path)
            assert (answer.status, "Allow" in answer.headers) == (501, False)
        for method in ("PROPFIND", "SEARCH"):
            assert (await client.request(method, "/a")).status == 405
            assert (await client.request(method, "/e")).status == 404
        assert (await client.request("BREW", "/d/x")).body == b"BREW /d /x"
        assert (await client.request("get", "/a")).status == 501  # methods are case-sensitive


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_unknown_path_gets_404(method: str) -> None:
    app = Router()
    app.get("/a")(saying("a"))
    app.get("/b/{name}")(tell_names)
    async with open_client(app) as client:
        answer = await client.request(method, "/c")
        assert answer.status == 404
        assert "Allow" not in answer.headers


async def test_http_error_of_a_handler_becomes_the_response() -> None:
    app = Router()

    @app.get("/")
    async def handler(request: Request) -> Response:
        raise HTTPError(418, "short and stout")

    async with open_client(app) as client:
        answer = await client.get("/")
        assert (answer.status, b"short and stout" in answer.body) == (418, True)


# Mounts


async def test_mounted_app_sees_paths_without_its_prefix() -> None:
    app = Router()
    app.mount("/in", tell_place)
    async with open_client(app) as client:
        for path, seen in {
            "/in": b"GET /in /",
            "/in/": b"GET /in /",
            "/in/a": b"GET /in /a",
            "/in/in/a": b"GET /in /in/a",  # the prefix is removed once
            "/in//a": b"GET /in //a",
            "/in/a%2Fb?c": b"GET /in /a%2Fb",
        }.items():
            assert (await client.get(path)).body == seen
        assert (await client.request("BREW", "/in/a")).body == b"BREW /in /a"


@pytest.mark.parametrize(
    "path", ["/in/a", "/%69n/a", "/./in/./a", "/x/%2e%2e/in/b/../a", "/../in/a"]
)
async def test_every_spelling_of_a_path_reaches_the_mounted_app(path: str) -> None:
    for prefix in ("/in", "/%69n", "/x/../in"):
        app = Router()
        app.mount(prefix, tell_place)
        async with open_client(app) as client:
            assert (await client.get(path)).body == b"GET /in /a"


@pytest.mark.parametrize("path", ["/", "/inn", "/i", "/a/in", "/in%2Fa", "//in/a", "/in/../a"])
async def test_other_paths_do_not_reach_the_mounted_app(path: str) -> None:
    app = Router()
    app.mount("/in", tell_place)
    async with open_client(app) as client:
        assert (await client.get(path)).status == 404


@pytest.mark.parametrize("prefixes", [("/a", "/a/b"), ("/a/b", "/a")])
async def test_longest_prefix_wins(prefixes: tuple[str, str]) -> None:
    app = Router()
    for prefix in prefixes:
        app.mount(prefix, tell_place)
    async with open_client(app) as client:
        assert (await client.get("/a/c")).body == b"GET /a /c"
        assert (await client.get("/a/b/c")).body == b"GET /a/b /c"
        assert (await client.get("/a/bc")).body == b"GET /a /bc"


async def test_nested_routers_add_up_their_prefixes() -> None:
    inner, middle, outer = Router(), Router(), Router()

    @inner.get("/{name}")
    async def handler(request: Request, name: str) -> Response:
        return Response.text(f"{request.mount} {request.path} {name} {request.target}")

    middle.mount("/inner", inner)
    outer.mount("/middle", middle)
    async with open_client(outer) as client:
        answer = await client.get("/middle/inner/a%20b?c")
        assert answer.body == b"/middle/inner /a%20b a b /middle/inner/a%20b?c"
        assert (await client.get("/middle/a")).status == 404
        refusal = await client.request("POST", "/middle/inner/a")
        assert (refusal.status, refusal.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_route_wins_over_a_mount() -> None:
    app = Router()
    app.mount("/a", tell_place)
    app.get("/a/b")(saying("route"))
    app.get("/a/c/{name}")(tell_names)
    async with open_client(app) as client:
        assert (await client.get("/a/b")).body == b"route"
        assert (await client.get("/a/c/d")).body == b'{"name":"d"}'
        assert (await client.request("POST", "/a/b")).body == b"POST /a /b"
        assert (await client.get("/a/x")).body == b"GET /a /x"


async def test_mount_with_methods_gets_405_for_others() -> None:
    app = Router()
    app.mount("/a", tell_place, methods=["GET"])
    app.put("/a/{name}")(tell_names)
    async with open_client(app) as client:
        assert (await client.get("/a/b")).body == b"GET /a /b"
        assert (await client.request("HEAD", "/a/b")).status == 200
        assert (await client.request("PUT", "/a/b")).body == b'{"name":"b"}'
        answer = await client.request("POST", "/a/b")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
        answer = await client.request("OPTIONS", "/a/b")
        assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PUT")
        answer = await client.request("PUT", "/a/b/c")  # only the mount matches
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_mount_without_get_has_no_head() -> None:
    app = Router()
    app.mount("/a", tell_place, methods={"POST"})
    async with open_client(app) as client:
        answer = await client.request("HEAD", "/a/b")
        assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS, POST")


class Counted:
    """An app that reports how many of its lifetimes are active and how many have begun."""

    def __init__(self) -> None:
        self.alive = 0
        self.begun = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[App]:
        self.alive += 1
        self.begun += 1
        try:
            async with trio.open_nursery():
                yield self.tell
        finally:
            self.alive -= 1

    async def tell(self, exchange: Exchange) -> None:
        place = f"{exchange.request.path} {self.alive}/{self.begun}"
        await exchange.respond(Response.text(place))


async def test_lifetimes_of_mounted_apps_are_entered_with_the_router() -> None:
    first, second = Counted(), Counted()
    inner, app = Router(), Router()
    inner.mount("/deep", second())
    app.mount("/first", first())
    app.mount("/inner", inner)
    app.mount("/place", tell_place)
    app.get("/{name}")(tell_names)
    async with open_client(app) as client:
        assert (await client.get("/first/a")).body == b"/a 1/1"
        assert (await client.get("/inner/deep/b")).body == b"/b 1/1"
        assert (await client.get("/place/c")).status == 200
        assert (await client.get("/d")).body == b'{"name":"d"}'
    assert first.alive == second.alive == 0


async def test_app_mounted_twice_has_one_lifetime() -> None:
    counted, app = Counted(), Router()
    lifetime = counted()
    app.mount("/a", lifetime)
    app.mount("/b", lifetime)
    async with open_client(app) as client:
        assert (await client.get("/a/x")).body == b"/x 1/1"
        assert (await client.get("/b/x")).body == b"/x 1/1"


async def test_router_can_be_served_twice_at_once() -> None:
    counted = Counted()

    async def handler(request: Request) -> Response:
        return Response.text(request.path)

    mounted = AppWithLifetime(answering(handler), counted)
    app = Router()
    app.mount("/in", mounted)
    async with open_client(app) as first:
        async with open_client(app) as second:
            assert (await first.get("/in/a")).body == b"/a 2/2"
            assert (await second.get("/in/b")).body == b"/b 2/2"
        assert (await first.get("/in/a")).body == b"/a 1/2"
    assert counted.alive == 0


async def test_route_added_while_serving_is_reached() -> None:
    app = Router()
    app.mount("/in", Counted()())
    async with open_client(app) as client:
        app.get("/it's")(saying("here"))
        assert (await client.get("/it%27s")).body == b"here"


async def test_router_that_is_not_entered_gets_500_for_apps_with_a_lifetime() -> None:
    app = Router()
    app.mount("/in", Counted()())
    app.get("/")(saying("root"))

    async def passing_on(exchange: Exchange) -> None:
        await app(exchange)

    async with open_client(passing_on) as client:
        assert (await client.get("/")).body == b"root"
        assert (await client.get("/in/a")).status == 500


# Wrong use


def test_mounting_another_value_raises_type_error() -> None:
    with pytest.raises(TypeError, match="neither an App nor"):
        Router().mount("/in", None)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["", "GET POST", "G\u00c9T", "GET\n"])
def test_malformed_method_raises_value_error(method: str) -> None:
    with pytest.raises(ValueError, match="not a method"):
        Router().route(method, "/")


@pytest.mark.parametrize(
    ("path", "again"),
    [
        ("/a", "/a"),
        ("/{name}", "/{name}"),
        ("/{rest:path}", "/{rest:path}"),
        ("/~bob", "/%7Ebob"),
        ("/~bob/{name}", "/x/../%7ebob/{name}"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a!", "/a%21"),
    ],
)
def test_duplicate_route_raises_value_error(path: str, again: str) -> None:
    app = Router()
    app.get(path)(tell_names)
    app.post(path)(tell_names)
    with pytest.raises(ValueError, match="already has a handler"):
        app.get(again)(tell_names)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/users/{name}", "/users/{id}"),  # the same pattern with another name
        ("/users/{id:int}", "/users/{number:int}"),
        ("/users/{name}", "/users/{id:int}"),
        ("/users/{name}", "/users/{name:int}"),
        ("/users/{rest:path}", "/users/{name}"),
        ("/users/{rest:path}", "/users/{id:int}"),
        ("/{a}-{b:path}", "/{a:int}-{b}"),
    ],
)
def test_unreachable_pattern_raises_value_error(first: str, second: str) -> None:
    app = Router()
    app.get(first)(tell_names)
    for method in ("GET", "POST"):
        with pytest.raises(
            ValueError, match=r"is never reached, because .* matches the same paths first"
        ):
            app.route(method, second)


@pytest.mark.parametrize(
    ("first", "second", "path", "body"),
    [
        ("/users/{id:int}", "/users/{name}", "/users/me", b'{"name":"me"}'),
        ("/users/{name}", "/users/{rest:path}", "/users/me/too", b'{"rest":"me/too"}'),
        ("/{a:int}-{b}", "/{a}-{b:int}", "/me-2", b'{"a":"me","b":2}'),
        ("/{name}", "/users/{id:int}", "/users/2", b'{"id":2}'),
    ],
)
async def test_partly_covered_pattern_is_reached(
    first: str, second: str, path: str, body: bytes
) -> None:
    app = Router()
    app.get(first)(saying("first"))
    app.get(second)(tell_names)
    async with open_client(app) as client:
        assert (await client.get(path)).body == body


async def test_explicit_str_is_the_same_pattern() -> None:
    app = Router()
    app.get("/{name}")(saying("got"))
    app.put("/{name:str}")(saying("put"))
    async with open_client(app) as client:
        assert (await client.request("PUT", "/a")).body == b"put"
    with pytest.raises(ValueError, match="already has a handler"):
        app.get("/{name:str}")(tell_names)


class Greeting:
    async def __call__(self, _: Request, name: str) -> Response:
        return Response.text(f"hello, {name}")


async def greet(greeting: str, request: Request, name: str) -> Response:
    return Response.text(f"{greeting}, {name}")


@pytest.mark.parametrize("handler", [Greeting(), partial(greet, "hello")])
async def test_async_callables_are_handlers(handler: RouteHandler) -> None:
    app = Router()
    app.get("/{name}")(handler)
    async with open_client(app) as client:
        assert (await client.get("/ada")).body == b"hello, ada"


async def takes_no_request() -> Response:
    raise NotImplementedError


async def takes_no_name(request: Request) -> Response:
    raise NotImplementedError


async def takes_another(request: Request, title: str) -> Response:
    raise NotImplementedError


async def takes_more(request: Request, name: str, title: str) -> Response:
    raise NotImplementedError


async def takes_it_as_the_request(name: Request) -> Response:
    raise NotImplementedError


@pytest.mark.parametrize(
    "handler",
    [takes_no_request, takes_no_name, takes_another, takes_more, takes_it_as_the_request],
)
def test_handler_without_the_names_raises_type_error(handler: RouteHandler) -> None:
    with pytest.raises(TypeError, match=r"/\{name\} does not fit its handler"):
        Router().get("/{name}")(handler)


class SupportsBrewing(Protocol):
    def brew(self) -> None: ...


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("path", "annotation"),
    [
        ("/{x:int}", int),
        ("/{x:int}", "int"),  # as in modules with postponed annotations
        ("/{x:int}", object),
        ("/{x}", str),
        ("/{x:str}", str),
        ("/{x:path}", "str"),
        ("/{x}", Sequence),
        # Annotations that cannot be checked are accepted.
        ("/{x:int}", Any),
        ("/{x:int}", int | None),
        ("/{x:int}", list[int]),
        ("/{x:int}", "KnownToTypeCheckers"),
        ("/{x:int}", SupportsBrewing),
    ],
)
def test_handler_with_suitable_annotations_is_accepted(path: str, annotation: object) -> None:
    async def handler(request: Request, x: object) -> Response:
        raise NotImplementedError

    handler.__annotations__["x"] = annotation
    assert Router().get(path)(handler) is handler


@pytest.mark.parametrize(
    ("path", "annotation"),
    [
        ("/{x:int}", str),
        ("/{x:int}", "str"),
        ("/{x:int}", bool),
        ("/{x}", int),
        ("/{x:str}", "int"),
        ("/{x:path}", bytes),
        ("/{x}", Name),  # values are not converted to it
        ("/{y}/{x:int}", str),
    ],
)
def test_handler_with_another_annotation_raises_type_error(path: str, annotation: object) -> None:
    async def handler(request: Request, x: object, y: str = "") -> Response:
        raise NotImplementedError

    handler.__annotations__["x"] = annotation
    with pytest.raises(TypeError, match=r"does not fit its handler: x is of type (int|str), not x"):
        Router().get(path)(handler)


def not_async(request: Request) -> Response:
    raise NotImplementedError


@pytest.mark.parametrize("handler", [not_async, "text", None])
def test_handler_that_is_not_async_raises_type_error(handler: Any) -> None:
    with pytest.raises(TypeError, match="a handler must be an async function"):
        Router().get("/")(handler)


@pytest.mark.parametrize(
    "prefix", ["", "/", "a", "a/", "/a/", "/a b", "/a?b", "/é", "/a%", "/a/.", "/a/..", "/%2e%2E"]
)
def test_malformed_prefix_raises_value_error(prefix: str) -> None:
    with pytest.raises(ValueError, match="a prefix begins with a slash"):
        Router().mount(prefix, tell_place)


def test_duplicate_prefix_raises_value_error() -> None:
    app = Router()
    app.mount("/a", tell_place)
    for prefix in ("/a", "/%61", "/./a"):
        with pytest.raises(ValueError, match="already has an app"):
            app.mount(prefix, tell_place, methods=["POST"])
