"""What an app needs for as long as it is served: a frame around all of its connections.

Whatever serves an app enters its lifetime before the first connection and leaves it after
the last, in its own frames. So a pool, a cache or a nursery with background tasks lives
in a ``with`` block of the app, and an error in there ends the server like any other.
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
"""What can be served: an App, or an async context manager that yields something servable.

The context manager is the lifetime of the app. Its frame is entered before the first
connection and left after the last.
"""

Entered = TypeVar("Entered")


@asynccontextmanager
async def entered(servable: Servable, timeouts: Timeouts) -> AsyncIterator[App]:
    """Enter the lifetime of an app; yield the App that answers requests within it.

    An app without a lifetime is yielded as it is.

    Raises:
        trio.TooSlowError: the lifetime has not begun within ``timeouts.start`` seconds.
        TypeError: the lifetime yields something that cannot be served.
        Exception: whatever the frame of the lifetime raises, at its start, in a nursery
            while the app is served, or at its end. A group of one exception, as nurseries
            raise it, is raised as that exception.
    """
    if not isinstance(servable, AbstractAsyncContextManager):
        yield _checked(servable)
        return
    # Around the whole lifetime: a scope around the start alone would end within a nursery
    # that the start has opened. Without a deadline it does nothing.
    starting = trio.CancelScope(deadline=trio.current_time() + timeouts.start)
    with unwrapping(), starting:
        async with _lifetime_of(servable) as app:
            if starting.cancel_called:
                await trio.lowlevel.checkpoint_if_cancelled()
            starting.deadline = math.inf
            yield app
    if starting.cancelled_caught:
        raise trio.TooSlowError(
            f"the app did not start within {timeouts.start:g} s: its lifetime has to yield "
            "sooner, or Timeouts.start be longer"
        )


@asynccontextmanager
async def _lifetime_of(servable: Servable) -> AsyncIterator[App]:
    """Enter a lifetime and those of whatever it yields, for a wrapper around another app."""
    if not isinstance(servable, AbstractAsyncContextManager):
        yield _checked(servable)
        return
    if _is_generated(servable) and not hasattr(servable, "args"):
        raise RuntimeError(
            "the lifetime of this app has begun once already, and what asynccontextmanager "
            "makes can begin only once: call the function again"
        )
    async with servable as inner:
        if inner is servable:  # an App that has prepared itself
            yield _checked(inner)
            return
        async with _lifetime_of(inner) as app:
            yield app


@asynccontextmanager
async def lifetimes_of(servables: Sequence[Servable]) -> AsyncIterator[Sequence[App]]:
    """Enter several lifetimes, one after the other; one that is given twice, once."""
    apps: dict[int, App] = {}
    async with AsyncExitStack() as stack:
        for servable in servables:
            if id(servable) not in apps:
                apps[id(servable)] = await stack.enter_async_context(_lifetime_of(servable))
        yield [apps[id(servable)] for servable in servables]


def _checked(app: Any) -> App:
    if not callable(app) or _is_generated(app):
        raise TypeError(f"neither an App nor an async context manager of one: {app!r}")
    served: App = app
    return served


def _is_generated(servable: Any) -> bool:
    """Whether it is what a function with ``asynccontextmanager`` returns.

    That can be called, but only to decorate a function. It has its arguments until it is
    entered, which it can be once.
    """
    return isinstance(servable, AsyncContextDecorator) and isasyncgen(
        getattr(servable, "gen", None)
    )


def without_lifetime(servable: Servable) -> App:
    """Return the App that answers where the lifetime has not been entered.

    An app that is nothing but a lifetime cannot: that raises ``RuntimeError`` for each
    request. What is no app at all raises ``TypeError`` now.
    """
    if isinstance(servable, AbstractAsyncContextManager) and (
        not callable(servable) or _is_generated(servable)
    ):
        return _unprepared
    return _checked(servable)


async def _unprepared(exchange: Exchange) -> None:
    raise RuntimeError(
        f"the app for {exchange.request.path} has a lifetime, which has not been entered"
    )


def wrapping(servable: Servable, wrap: Callable[[App], App]) -> App:
    """Return what ``wrap`` makes of an app, with the same lifetime."""
    app = wrap(without_lifetime(servable))
    if not isinstance(servable, AbstractAsyncContextManager):
        return app

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        async with _lifetime_of(servable) as inner:
            yield wrap(inner)

    return AppWithLifetime(app, lifetime)


def answering(handler: Handler | AbstractAsyncContextManager[Handler]) -> App:
    """Return an App that responds with what a handler returns.

    ``serve``, ``open_client`` and ``Router.mount`` take apps, which are given an
    ``Exchange``. A handler is given a ``Request`` and returns a ``Response``; passed to them
    as it is, it fails at each request.

    Args:
        handler: an async function, or an async context manager that yields one. The context
            manager becomes the lifetime of the app.

    Returns:
        The app. A handler that returns something other than a ``Response`` is a 500 for the
        client, and the log names it.

    Raises:
        TypeError: the handler cannot be called.
    """
    made_of: Any = handler
    return wrapping(made_of, _answering)


def _answering(handler: Any) -> App:
    async def app(exchange: Exchange) -> None:
        response = await handler(exchange.request)
        try:
            await exchange.respond(response)
        except Exception:
            # Only here, because each request would pay for a look at the type before.
            if not isinstance(response, Response):
                raise wrong_return(handler, response) from None
            raise

    return app


class AppWithLifetime:
    """An App that answers by itself, and better within its lifetime.

    ``async with`` gives the App to serve. Each entry has resources of its own, so any
    number of servers can serve it at once.
    """

    __slots__ = ("_app", "_entries", "_lifetime")

    def __init__(self, app: App, lifetime: Callable[[], AbstractAsyncContextManager[App]]) -> None:
        self._app = app
        self._lifetime = lifetime
        self._entries: Entries[App] = Entries()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer without what the lifetime would provide."""
        await self._app(exchange)

    async def __aenter__(self) -> App:
        """Begin the lifetime; return the App that answers within it."""
        return await self._entries.enter(self._lifetime())

    async def __aexit__(self, *error: object) -> bool | None:
        """End the lifetime that this task has entered last."""
        return await self._entries.leave(*error)


class Entries(Generic[Entered]):
    """Lets an object be entered by several tasks at once, and more than once by each.

    A task leaves in the reverse order in which it has entered, as nested ``async with``
    statements do.
    """

    __slots__ = ("_lifetimes",)

    def __init__(self) -> None:
        self._lifetimes: dict[trio.lowlevel.Task, list[AbstractAsyncContextManager[Entered]]] = {}

    async def enter(self, lifetime: AbstractAsyncContextManager[Entered]) -> Entered:
        """Enter a lifetime for this task."""
        value = await lifetime.__aenter__()
        self._lifetimes.setdefault(trio.lowlevel.current_task(), []).append(lifetime)
        return value

    async def leave(self, *error: Any) -> bool | None:
        """Leave what this task has entered last; the arguments are those of ``__aexit__``."""
        task = trio.lowlevel.current_task()
        lifetimes = self._lifetimes[task]
        lifetime = lifetimes.pop()
        if not lifetimes:
            del self._lifetimes[task]
        return await lifetime.__aexit__(*error)


@contextmanager
def unwrapping() -> Iterator[None]:
    """Raise the only exception of a group instead of the group, with its own cause."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        context, hides_context = error.__context__, error.__suppress_context__
        try:
            raise error
        finally:  # to raise it has changed what it followed from
            error.__context__, error.__suppress_context__ = context, hides_context
