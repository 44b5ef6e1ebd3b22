"""The lifetime of an app: an async context manager around all of its connections.

The server enters the lifetime before the first connection and leaves it after the last. So
the app can hold a pool, a cache or a nursery with background tasks in a ``with`` block, and
an error in that block ends the server like any other error.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncContextDecorator,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from inspect import isasyncgen
from typing import Any, Generic, TypeAlias, TypeVar

import trio

from trio_http.http1.exchange import App, Exchange, Handler
from trio_http.http1.handler_errors import wrong_return
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts

Servable: TypeAlias = App | AbstractAsyncContextManager["Servable"]
"""An App, or an async context manager that yields a ``Servable``.

The context manager is the lifetime of the app. It is entered before the first connection and
left after the last.
"""

Entered = TypeVar("Entered")


@asynccontextmanager
async def entered(servable: Servable, timeouts: Timeouts) -> AsyncIterator[App]:
    """Enter the lifetime of an app and yield the App that serves requests within it.

    An app without a lifetime is yielded unchanged.

    Raises:
        trio.TooSlowError: the lifetime did not yield within ``timeouts.start`` seconds.
        TypeError: the lifetime yielded a value that cannot be served.
        Exception: any exception of the lifetime: at its start, in a nursery while the app is
            served, or at its end. A group of one exception, as nurseries raise it, is raised
            as that exception.
    """
    if not isinstance(servable, AbstractAsyncContextManager):
        yield _checked(servable)
        return
    # This scope surrounds the whole lifetime, because a scope around the start alone would end
    # inside a nursery that the start has opened. Without a deadline it has no effect.
    starting = trio.CancelScope(deadline=trio.current_time() + timeouts.start)
    with unwrapping(), starting:
        async with _lifetime_of(servable) as app:
            if starting.cancel_called:
                await trio.lowlevel.checkpoint_if_cancelled()
            starting.deadline = math.inf
            yield app
    if starting.cancelled_caught:
        raise trio.TooSlowError(
            f"the app did not start within {timeouts.start:g} s: make its lifetime yield "
            "sooner, or raise Timeouts.start"
        )


@asynccontextmanager
async def _lifetime_of(servable: Servable) -> AsyncIterator[App]:
    """Enter a lifetime, and that of the app that it yields if this has one too."""
    if not isinstance(servable, AbstractAsyncContextManager):
        yield _checked(servable)
        return
    if _is_generated(servable) and not hasattr(servable, "args"):
        raise RuntimeError(
            "the lifetime of this app was already entered, and a context manager made by "
            "asynccontextmanager can be entered only once: call the function again"
        )
    async with servable as inner:
        if inner is servable:  # an App that is its own lifetime
            yield _checked(inner)
            return
        async with _lifetime_of(inner) as app:
            yield app


@asynccontextmanager
async def lifetimes_of(servables: Sequence[Servable]) -> AsyncIterator[Sequence[App]]:
    """Enter several lifetimes in order, each only once even if it is given twice."""
    apps: dict[int, App] = {}
    async with AsyncExitStack() as stack:
        for servable in servables:
            if id(servable) not in apps:
                apps[id(servable)] = await stack.enter_async_context(_lifetime_of(servable))
        yield [apps[id(servable)] for servable in servables]


def _checked(app: Any) -> App:
    if not callable(app) or _is_generated(app):
        raise TypeError(f"neither an App nor an async context manager that yields one: {app!r}")
    served: App = app
    return served


def _is_generated(servable: Any) -> bool:
    """Return whether the object was made by an ``asynccontextmanager`` function.

    It is callable, but only as a decorator. It can be entered once, and loses ``args`` then.
    """
    return isinstance(servable, AsyncContextDecorator) and isasyncgen(
        getattr(servable, "gen", None)
    )


def without_lifetime(servable: Servable) -> App:
    """Return the App that serves requests while the lifetime is not entered.

    If ``servable`` is a lifetime only, that App raises ``RuntimeError`` for each request.
    A value that is not servable raises ``TypeError`` at once.
    """
    if isinstance(servable, AbstractAsyncContextManager) and (
        not callable(servable) or _is_generated(servable)
    ):
        return _unprepared
    return _checked(servable)


async def _unprepared(exchange: Exchange) -> None:
    raise RuntimeError(
        f"the app for {exchange.request.path} has a lifetime that has not been entered"
    )


def wrapping(servable: Servable, wrap: Callable[[App], App]) -> App:
    """Wrap the App of ``servable`` by calling ``wrap``, and keep its lifetime."""
    app = wrap(without_lifetime(servable))
    if not isinstance(servable, AbstractAsyncContextManager):
        return app

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        async with _lifetime_of(servable) as inner:
            yield wrap(inner)

    return AppWithLifetime(app, lifetime)


def answering(handler: Handler | AbstractAsyncContextManager[Handler]) -> App:
    """Return an App that sends the response that a handler returns.

    ``serve``, ``open_client`` and ``Router.mount`` call apps with an ``Exchange``. A handler
    takes a ``Request``, so passed to them directly it fails at each request.

    Args:
        handler: an async function, or an async context manager that yields one. The context
            manager becomes the lifetime of the app.

    Returns:
        The app. If the handler returns something other than a ``Response``, the client gets a
        500 and the handler's name is logged.

    Raises:
        TypeError: the handler is not callable.
    """
    made_of: Any = handler
    return wrapping(made_of, _answering)


def _answering(handler: Any) -> App:
    async def app(exchange: Exchange) -> None:
        response = await handler(exchange.request)
        try:
            await exchange.respond(response)
        except Exception:
            # The type is checked only now, because a check before would cost every request.
            if not isinstance(response, Response):
                raise wrong_return(handler, response) from None
            raise

    return app


class AppWithLifetime:
    """An App that also works outside of its lifetime, but without its resources.

    ``async with`` returns the App to serve. Each entry has its own resources, so any number of
    servers can serve it at once.
    """

    __slots__ = ("_app", "_entries", "_lifetime")

    def __init__(self, app: App, lifetime: Callable[[], AbstractAsyncContextManager[App]]) -> None:
        self._app = app
        self._lifetime = lifetime
        self._entries: Entries[App] = Entries()

    async def __call__(self, exchange: Exchange) -> None:
        """Serve an exchange without the resources of the lifetime."""
        await self._app(exchange)

    async def __aenter__(self) -> App:
        """Begin a lifetime and return the App that serves requests within it."""
        return await self._entries.enter(self._lifetime())

    async def __aexit__(self, *error: object) -> bool | None:
        """End the lifetime that the current task entered last."""
        return await self._entries.leave(*error)


class Entries(Generic[Entered]):
    """The entered lifetimes of an object, for several tasks at once and several per task.

    Each task leaves its lifetimes in reverse order, as nested ``async with`` statements do.
    """

    __slots__ = ("_lifetimes",)

    def __init__(self) -> None:
        self._lifetimes: dict[trio.lowlevel.Task, list[AbstractAsyncContextManager[Entered]]] = {}

    async def enter(self, lifetime: AbstractAsyncContextManager[Entered]) -> Entered:
        """Enter a lifetime in this task."""
        value = await lifetime.__aenter__()
        self._lifetimes.setdefault(trio.lowlevel.current_task(), []).append(lifetime)
        return value

    async def leave(self, *error: Any) -> bool | None:
        """Leave the lifetime that this task entered last; takes the arguments of ``__aexit__``."""
        task = trio.lowlevel.current_task()
        lifetimes = self._lifetimes[task]
        lifetime = lifetimes.pop()
        if not lifetimes:
            del self._lifetimes[task]
        return await lifetime.__aexit__(*error)


@contextmanager
def unwrapping() -> Iterator[None]:
    """Raise the only exception of a group instead of the group, with its own context."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        context, hides_context = error.__context__, error.__suppress_context__
        try:
            raise error
        finally:  # raising the error has changed its context
            error.__context__, error.__suppress_context__ = context, hides_context
