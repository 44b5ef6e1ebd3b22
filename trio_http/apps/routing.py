"""Routes: the choice of a handler by path and method."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any, Self, TypeAlias, TypeVar

from trio_http.apps.route_pattern import KINDS, PATH, Pattern
from trio_http.http1.app_lifetime import Entries, Servable, lifetimes_of, without_lifetime
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.handler_errors import wrong_return
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.methods import METHODS, allow_of, not_allowed, options_response
from trio_http.semantics.paths import has_one_spelling, literal_path, normal_path
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.tokens import is_token

RouteHandler: TypeAlias = Callable[..., Awaitable[Response]]
AnyHandler = TypeVar("AnyHandler", bound=RouteHandler)


@dataclass(frozen=True, slots=True)
class _Mount:
    prefix: str
    lifetime: AbstractAsyncContextManager[Servable] | None  # None once it has been entered
    app: App
    methods: frozenset[str] | None  # None passes all methods to the app


class Router:
    """An App that passes each request to a handler, by path and method.

        app = Router()

        @app.get("/articles/{id:int}")
        async def article(request: Request, id: int) -> Response:
            return Response.json({"id": id})

    In a path, ``{name}`` matches one segment, ``{name:int}`` digits, which are passed as a
    number, and ``{name:path}`` everything that follows, including slashes. Paths are compared
    in their normal form (RFC 3986 6.2.2). A final slash matters: ``/a`` is not ``/a/``.

    A path without names has priority over patterns. Among patterns, the first match in the
    order in which they were added counts. A path without a route may belong to a mounted app,
    and is otherwise a 404.

    The handler of GET also handles HEAD (RFC 9110 9.3.2). The router itself responds to
    OPTIONS, to methods that the path does not have (405, with ``Allow``) and to unknown methods
    (501, RFC 9110 9.1).
    """

    def __init__(self) -> None:
        self._fixed: dict[str, dict[str, RouteHandler]] = {}
        self._patterns: dict[Pattern, dict[str, RouteHandler]] = {}
        self._mounts: list[_Mount] = []
        self._methods = set(METHODS)  # all other methods get a 501
        # The routes and mounts that contain other than unreserved characters. If there are
        # none, comparing the normal form of a path is enough.
        self._respelled: list[str] = []
        self._entries: Entries[Self] = Entries()

    def route(self, method: str, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for a method and a path.

        A handler is an async function. It receives the ``Request``, and the names in the path
        as keyword arguments, and returns a ``Response``; other values fail when a request
        arrives. The decorator returns the handler unchanged.

        Args:
            method: such as ``"GET"``, in upper case, because methods are case-sensitive.
            path: begins with a slash; see ``Router`` for names in it.

        Raises:
            ValueError: the method or the path is malformed, the path can never be reached, or
                it already has a handler for this method.
            TypeError: the handler is not an async function, or does not accept the names in the
                path with their types.
        """
        if not is_token(method.encode()):
            raise ValueError(f"not a method: {method!r}")
        pattern = Pattern.parse(path)
        for first in self._patterns:
            if first != pattern and first.covers(pattern):
                raise ValueError(
                    f"{path} is never reached, because {first.text} matches the same paths first"
                )

        def add(handler: AnyHandler) -> AnyHandler:
            _check(handler, pattern)
            handlers = (
                self._patterns.setdefault(pattern, {})
                if pattern.names
                else self._fixed.setdefault(pattern.literals[0], {})
            )
            if method in handlers:
                raise ValueError(f"{method} {path} already has a handler")
            handlers[method] = handler
            self._methods.add(method)
            if not pattern.has_one_spelling:
                self._respelled.append(path)
            return handler

        return add

    def get(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for GET and HEAD; see ``route``."""
        return self.route("GET", path)

    def post(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for POST; see ``route``."""
        return self.route("POST", path)

    def put(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for PUT; see ``route``."""
        return self.route("PUT", path)

    def patch(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for PATCH (RFC 5789); see ``route``."""
        return self.route("PATCH", path)

    def delete(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Return a decorator that adds a handler for DELETE; see ``route``."""
        return self.route("DELETE", path)

    def mount(self, prefix: str, app: Servable, *, methods: Iterable[str] | None = None) -> None:
        """Pass the requests for all paths below a prefix to an app.

        The app sees the path without the prefix, which is in ``Request.mount``. Routes have
        priority over mounts, and longer prefixes over shorter ones. The lifetime of the app is
        entered with that of the router, so mount everything before serving.

        Args:
            prefix: begins with a slash and ends without one; ``"/files"`` matches ``/files``
                and ``/files/a``, but not ``/files2``.
            app: an App, a Router, or an async context manager of one. Wrap a handler in
                ``answering``.
            methods: the methods passed to the app, where GET includes HEAD; others get a 405.
                None, the default, passes all methods.

        Raises:
            ValueError: the prefix is malformed, or already has an app.
            TypeError: the app cannot be served.
        """
        path = literal_path(normal_path(prefix))
        if not PATH.fullmatch(prefix) or path.endswith("/"):
            raise ValueError(f"a prefix begins with a slash and ends without one: {prefix!r}")
        if any(path == mount.prefix for mount in self._mounts):
            raise ValueError(f"{prefix} already has an app")
        allowed = None if methods is None else frozenset(methods)
        if allowed is not None and "GET" in allowed:
            allowed |= {"HEAD"}
        self._methods |= allowed or set()
        lifetime = app if isinstance(app, AbstractAsyncContextManager) else None
        self._mounts.append(_Mount(path, lifetime, without_lifetime(app), allowed))
        if not has_one_spelling(path):
            self._respelled.append(path)
        self._mounts.sort(key=lambda mount: len(mount.prefix), reverse=True)

    async def __call__(self, exchange: Exchange) -> None:
        """Handle a request, as an App does."""
        request = exchange.request
        method = request.method
        path = literal_path(request.path) if self._respelled else request.path
        handlers, parameters = self._find(path)
        handler = handlers.get("GET" if method == "HEAD" and "HEAD" not in handlers else method)
        if handler is not None:
            response = await handler(request, **parameters)
            try:
                await exchange.respond(response)
            except Exception:
                # Checked only after a failure, because a type check before would slow down each
                # request.
                if not isinstance(response, Response):
                    raise wrong_return(handler, response) from None
                raise
            return
        mount = self._mounted(path)
        if mount is not None and (mount.methods is None or request.method in mount.methods):
            await mount.app(exchange.below(_beginning(request.path, mount.prefix)))
            return
        if request.method not in self._methods:
            raise not_allowed(request.method, set())
        supported = {*handlers, *(mount.methods or () if mount else ())}
        await exchange.respond(_unhandled(request, supported))

    async def __aenter__(self) -> Self:
        """Enter the lifetimes of the mounted apps; return a router that passes requests to them."""
        return await self._entries.enter(self._with_mounts())

    async def __aexit__(self, *error: object) -> bool | None:
        """Leave the lifetimes of the mounted apps."""
        return await self._entries.leave(*error)

    @asynccontextmanager
    async def _with_mounts(self) -> AsyncIterator[Self]:
        ahead = [mount.lifetime for mount in self._mounts if mount.lifetime is not None]
        if not ahead:
            yield self
            return
        async with lifetimes_of(ahead) as apps:
            within = dict(zip(map(id, ahead), apps, strict=True))
            router = copy(self)  # shares its routes, even those that are added later
            router._mounts = [  # noqa: SLF001 - of this same class
                replace(mount, lifetime=None, app=within.get(id(mount.lifetime), mount.app))
                for mount in self._mounts
            ]
            yield router

    def _find(self, path: str) -> tuple[dict[str, RouteHandler], dict[str, Any]]:
        if (handlers := self._fixed.get(path)) is not None:
            return handlers, {}
        for pattern, handlers in self._patterns.items():
            if (parameters := pattern.match(path)) is not None:
                return handlers, parameters
        return {}, {}

    def _mounted(self, path: str) -> _Mount | None:
        for mount in self._mounts:
            if path == mount.prefix or path.startswith(mount.prefix + "/"):
                return mount
        return None


def _beginning(path: str, prefix: str) -> str:
    """Return the prefix of a path in the client's spelling."""
    return prefix if path.startswith(prefix) else "/".join(path.split("/")[: prefix.count("/") + 1])


def _check(handler: RouteHandler, pattern: Pattern) -> None:
    if not iscoroutinefunction(handler) and not iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - the method may be async
    ):
        raise TypeError(f"a handler must be an async function: {handler!r}")
    parameters = signature(handler)
    try:
        parameters.bind(None, **dict.fromkeys(pattern.names))
    except TypeError as error:
        raise TypeError(f"{pattern.text} does not fit its handler: {error}") from None
    for name, kind in zip(pattern.names, pattern.kinds, strict=True):
        parameter = parameters.parameters.get(name)
        if parameter and not _takes(parameter, KINDS[kind].type):
            given = f"{name} is of type {KINDS[kind].type.__name__}"
            raise TypeError(f"{pattern.text} does not fit its handler: {given}, not {parameter}")


def _takes(parameter: Parameter, value_type: type) -> bool:
    """Return whether the annotation of a parameter, if known, allows such values."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # Postponed (PEP 563), and perhaps known only to type checkers. But the names of the
        # built-in types are known.
        annotation = vars(builtins).get(annotation)
    if annotation in (Any, Parameter.empty) or not isinstance(annotation, type):
        return True
    try:
        return issubclass(value_type, annotation)
    except TypeError:  # most protocols do not support this check
        return True


def _unhandled(request: Request, supported: set[str]) -> Response:
    if request.method == "OPTIONS" and (supported or request.path == "*"):
        return options_response(request, supported)
    if not supported:
        raise HTTPError(404)
    raise HTTPError(405, headers=allow_of(supported))
