"""Which handler answers, by path and method."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from inspect import iscoroutinefunction, signature
from typing import TypeAlias, TypeVar

from trio_http.http1.exchange import App, Exchange
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import is_token
from trio_http.semantics.messages import Request, Response, decoded

RouteHandler: TypeAlias = Callable[..., Awaitable[Response]]
AnyHandler = TypeVar("AnyHandler", bound=RouteHandler)

_PARAMETER = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)(:path)?\}")
# A path in a request is visible ASCII, and ends where a query begins (RFC 3986 3.3).
_PATH = re.compile(r"/[!->@-~]*")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path with names in braces: ``/users/{name}``, ``/docs/{rest:path}``.

    A name stands for one segment, not empty; ``:path`` for all that follow.
    Paths are matched as they were sent and decoded after, so that an escaped
    slash is never a separator. In what ``:path`` stands for it looks like one:
    who splits that should take ``request.segments`` instead.
    """

    text: str
    regex: re.Pattern[str]
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """``ValueError`` says what is wrong with a pattern."""
        if not _PATH.fullmatch(text):
            raise ValueError(f"a path begins with a slash and is escaped as when sent: {text!r}")
        names = tuple([match[1] for match in _PARAMETER.finditer(text)])
        literals = _PARAMETER.split(text)[::3]
        if any("{" in literal or "}" in literal for literal in literals):
            raise ValueError(f"names stand in braces, as in /users/{{name}}: {text!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"a name can stand for one thing only: {text!r}")
        groups = ["(.+)" if match[2] else "([^/]+)" for match in _PARAMETER.finditer(text)]
        regex = "".join(
            re.escape(literal) + group
            for literal, group in zip(literals, [*groups, ""], strict=True)
        )
        return cls(text, re.compile(regex, re.DOTALL), names)

    def match(self, path: str) -> dict[str, str] | None:
        """What the names stand for in a path, or None where it is another."""
        match = self.regex.fullmatch(path)
        if match is None:
            return None
        return dict(zip(self.names, map(decoded, match.groups()), strict=True))


@dataclass(frozen=True, slots=True)
class _Mount:
    prefix: str
    app: App
    methods: frozenset[str] | None  # None: whatever the app makes of them


class Router:
    """An App that leaves the answering to handlers, found by path and method.

    A path without names counts before patterns, and of those the first that
    fits, in the order in which they were added; what fits none may belong to a
    mounted App. HEAD is answered by GET's handler (RFC 9110 9.3.2), OPTIONS and
    unsupported methods with ``Allow``.
    """

    def __init__(self) -> None:
        self._fixed: dict[str, dict[str, RouteHandler]] = {}
        self._patterns: dict[Pattern, dict[str, RouteHandler]] = {}
        self._mounts: list[_Mount] = []

    def route(self, method: str, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """Have the decorated handler answer; it is given the path's names as keywords.

        A pattern that is malformed or taken, or a handler that does not take
        its names, raises here rather than when a request comes.
        """
        if not is_token(method.encode()):
            raise ValueError(f"not a method: {method!r}")
        pattern = Pattern.parse(path)
        if any(pattern.regex == p.regex and pattern.names != p.names for p in self._patterns):
            raise ValueError(f"{path} is there already, under other names, which count")

        def add(handler: AnyHandler) -> AnyHandler:
            _check(handler, pattern)
            handlers = (
                self._patterns.setdefault(pattern, {})
                if pattern.names
                else self._fixed.setdefault(path, {})
            )
            if method in handlers:
                raise ValueError(f"{method} {path} has a handler already")
            handlers[method] = handler
            return handler

        return add

    def get(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """``route`` for GET, and thereby HEAD."""
        return self.route("GET", path)

    def post(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """``route`` for POST."""
        return self.route("POST", path)

    def put(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """``route`` for PUT."""
        return self.route("PUT", path)

    def patch(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """``route`` for PATCH (RFC 5789)."""
        return self.route("PATCH", path)

    def delete(self, path: str) -> Callable[[AnyHandler], AnyHandler]:
        """``route`` for DELETE."""
        return self.route("DELETE", path)

    def mount(self, prefix: str, app: App, *, methods: Iterable[str] | None = None) -> None:
        """Leave all paths below a prefix to an App, which sees them without it.

        With ``methods``, only those, and HEAD with GET; the longest prefix counts.
        """
        if not _PATH.fullmatch(prefix) or prefix.endswith("/"):
            raise ValueError(f"a prefix begins with a slash and ends without: {prefix!r}")
        if any(prefix == mount.prefix for mount in self._mounts):
            raise ValueError(f"{prefix} has an app already")
        allowed = None if methods is None else frozenset(methods)
        if allowed is not None and "GET" in allowed:
            allowed |= {"HEAD"}
        self._mounts.append(_Mount(prefix, app, allowed))
        self._mounts.sort(key=lambda mount: len(mount.prefix), reverse=True)

    async def __call__(self, exchange: Exchange) -> None:
        """Answer: Router is an App."""
        request = exchange.request
        handlers, parameters = self._find(request.path)
        handler = handlers.get(request.method) or (
            handlers.get("GET") if request.method == "HEAD" else None
        )
        if handler is not None:
            await exchange.respond(await handler(request, **parameters))
            return
        mount = self._mounted(request.path)
        if mount is not None and (mount.methods is None or request.method in mount.methods):
            exchange.request = request.below(mount.prefix)
            await mount.app(exchange)
            return
        known = {*handlers, *(mount.methods or () if mount else ())}
        await exchange.respond(_unhandled(request, known))

    def _find(self, path: str) -> tuple[dict[str, RouteHandler], dict[str, str]]:
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


def _check(handler: RouteHandler, pattern: Pattern) -> None:
    if not iscoroutinefunction(handler) and not iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - it is the method that may be async
    ):
        raise TypeError(f"a handler is an async function: {handler!r}")
    try:
        signature(handler).bind(None, **dict.fromkeys(pattern.names, ""))
    except TypeError as error:
        raise TypeError(f"{pattern.text} does not fit its handler: {error}") from None


def _unhandled(request: Request, known: set[str]) -> Response:
    if request.path == "*" and request.method == "OPTIONS":
        return Response(204)  # about the server as a whole (RFC 9110 9.3.7)
    if not known:
        raise HTTPError(404)
    allow = ", ".join(sorted({*known, "OPTIONS"} | ({"HEAD"} if "GET" in known else set())))
    if request.method == "OPTIONS":
        return Response(204, {"Allow": allow})
    raise HTTPError(405, headers={"Allow": allow})
