"""The lifetime of an app: its beginning, its end and its errors."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

import pytest
import trio
from trio.testing import MockClock

from trio_http.http1.app_lifetime import (
    AppWithLifetime,
    Servable,
    answering,
    entered,
    lifetimes_of,
    without_lifetime,
    wrapping,
)
from trio_http.http1.exchange import App, Exchange, Handler
from trio_http.http1.server_events import Failure, ServerEvent
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.testing import open_client


async def app(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello"))


class Steps(list[str]):
    """The steps of a test, in order."""

    @asynccontextmanager
    async def lifetime(self, servable: Any = app, name: str = "it") -> AsyncIterator[Any]:
        self.append(f"{name} begins")
        try:
            await trio.lowlevel.checkpoint()
            yield servable
        finally:
            self.append(f"{name} ends")


async def test_app_without_lifetime_is_yielded_unchanged() -> None:
    async with entered(app, Timeouts()) as within:
        assert within is app


async def test_lifetime_begins_before_and_ends_after_service() -> None:
    steps = Steps()
    async with entered(steps.lifetime(), Timeouts()) as within:
        assert within is app
        steps.append("served")
    assert steps == ["it begins", "served", "it ends"]


async def test_nested_lifetimes_end_in_reverse_order() -> None:
    steps = Steps()
    inner = steps.lifetime(app, "inner")
    async with entered(steps.lifetime(inner, "outer"), Timeouts()) as within:
        assert within is app
    assert steps == ["outer begins", "inner begins", "inner ends", "outer ends"]


class Prepared:
    """An App that is its own lifetime."""

    def __init__(self) -> None:
        self.depth = 0

    async def __aenter__(self) -> Self:
        self.depth += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.depth -= 1

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.respond(Response.text(str(self.depth)))


async def test_app_that_is_its_own_lifetime_is_entered_once() -> None:
    prepared = Prepared()
    async with open_client(prepared) as client:
        assert (await client.get("/")).body == b"1"
    assert prepared.depth == 0
    assert without_lifetime(prepared) is prepared


class Useless:
    """A lifetime that yields no App."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    "servable", [None, "app", Steps().lifetime(None), Steps().lifetime("app"), Useless()]
)
async def test_value_that_is_not_an_app_raises_type_error(servable: Any) -> None:
    with pytest.raises(TypeError, match="neither an App nor"):
        async with entered(servable, Timeouts()):
            pytest.fail("it is served")


# Errors


class FrameError(Exception):
    """The error that a lifetime raises."""


@asynccontextmanager
async def failing(moment: str, wrap: Callable[[], Awaitable[None]]) -> AsyncIterator[App]:
    """Raise at the start, while the app is served, or at the end, in a nursery."""

    async def fail_at(now: str) -> None:
        if now == moment:
            await wrap()

    async with trio.open_nursery():
        await fail_at("start")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_at, "service")
            yield app
        await fail_at("end")


async def fail() -> None:
    try:
        int("the reason")
    except ValueError as error:
        raise FrameError from error


async def fail_deeply() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)


@pytest.mark.parametrize("wrap", [fail, fail_deeply])
@pytest.mark.parametrize("moment", ["start", "service", "end"])
async def test_single_error_of_lifetime_is_raised_without_group(
    moment: str, wrap: Callable[[], Awaitable[None]]
) -> None:
    reached = False

    async def serve() -> None:
        nonlocal reached
        async with entered(failing(moment, wrap), Timeouts()):
            reached = True
            if moment == "service":
                await trio.sleep_forever()

    with pytest.raises(FrameError) as raised:
        await serve()
    assert isinstance(raised.value.__cause__, ValueError)
    assert raised.value.__context__ is raised.value.__cause__
    assert raised.value.__suppress_context__
    assert raised.traceback[-1].name == "fail"
    assert reached == (moment != "start")


async def test_several_errors_of_lifetime_are_raised_as_group() -> None:
    @asynccontextmanager
    async def failing_twice() -> AsyncIterator[App]:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(fail)
            yield app

    with pytest.RaisesGroup(FrameError, FrameError):
        async with entered(failing_twice(), Timeouts()):
            await trio.sleep_forever()


async def test_lifetime_can_end_the_service() -> None:
    @asynccontextmanager
    async def short() -> AsyncIterator[App]:
        with trio.CancelScope() as scope:
            scope.cancel()
            yield app

    async with entered(short(), Timeouts()):
        await trio.sleep_forever()


async def test_cancellation_ends_the_lifetime() -> None:
    steps = Steps()
    with trio.CancelScope() as scope:
        async with entered(steps.lifetime(), Timeouts()):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert steps == ["it begins", "it ends"]


# The time limit


@asynccontextmanager
async def slow(seconds: float) -> AsyncIterator[App]:
    async with trio.open_nursery():
        await trio.sleep(seconds)
        yield app


async def test_slow_start_raises_too_slow_error(autojump_clock: MockClock) -> None:
    with pytest.raises(trio.TooSlowError, match=r"did not start within 2 s.*Timeouts\.start"):
        async with entered(slow(2.1), Timeouts(start=2)):
            pytest.fail("it is served")
    assert trio.current_time() == 2


async def test_nested_lifetimes_share_one_time_limit(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def nested() -> AsyncIterator[Servable]:
        await trio.sleep(1)
        yield slow(1.5)

    with pytest.raises(trio.TooSlowError):
        async with entered(nested(), Timeouts(start=2)):
            pytest.fail("it is served")
    assert trio.current_time() == 2


@pytest.mark.parametrize("limit", [2, math.inf])
async def test_started_lifetime_has_no_time_limit(limit: float, autojump_clock: MockClock) -> None:
    async with entered(slow(1.9), Timeouts(start=limit)):
        await trio.sleep(100)


async def test_slow_start_in_shield_raises_too_slow_error(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def stubborn() -> AsyncIterator[App]:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
        yield app

    with pytest.raises(trio.TooSlowError):
        async with entered(stubborn(), Timeouts(start=2)):
            pytest.fail("it is served")


# Entering more than once


async def test_second_entry_of_generated_lifetime_raises_runtime_error() -> None:
    lifetime = Steps().lifetime()
    async with entered(lifetime, Timeouts()):
        with pytest.raises(RuntimeError, match="call the function again"):
            async with entered(lifetime, Timeouts()):
                pytest.fail("it is served")
    with pytest.raises(RuntimeError, match="call the function again"):
        async with entered(lifetime, Timeouts()):
            pytest.fail("it is served")


class Counted:
    """An app that numbers its lifetimes."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []

    def app(self) -> AppWithLifetime:
        return AppWithLifetime(self._saying("none"), self._lifetime)

    @asynccontextmanager
    async def _lifetime(self) -> AsyncIterator[App]:
        number = len(self.begun)
        self.begun.append(number)
        async with trio.open_nursery():  # can be left only by the task that has entered it
            yield self._saying(str(number))
        self.ended.append(number)

    def _saying(self, text: str) -> App:
        async def handler(request: Request) -> Response:
            return Response.text(text)

        return answering(handler)


async def said_by(servable: Servable) -> str:
    async with open_client(servable) as client:
        return (await client.get("/")).body.decode()


async def test_several_tasks_enter_one_app_at_once() -> None:
    counted = Counted()
    app = counted.app()
    may_leave = [trio.Event(), trio.Event()]

    async def enter(number: int, *, task_status: trio.TaskStatus[App]) -> None:
        async with app as within:
            task_status.started(within)
            await may_leave[number].wait()

    async with trio.open_nursery() as nursery:
        first: App = await nursery.start(enter, 0)
        second: App = await nursery.start(enter, 1)
        assert [await said_by(first), await said_by(second)] == ["0", "1"]
        for number in (0, 1):  # not in reverse order
            may_leave[number].set()
            await trio.testing.wait_all_tasks_blocked()
    assert counted.ended == [0, 1]


async def test_one_task_enters_one_app_twice() -> None:
    counted = Counted()
    app = counted.app()
    async with app as first, app as second:
        assert [await said_by(first), await said_by(second)] == ["0", "1"]
    assert counted.ended == [1, 0]


async def test_app_that_is_not_entered_uses_its_own_handler() -> None:
    app = Counted().app()

    async def passing_on(exchange: Exchange) -> None:
        await app(exchange)

    assert await said_by(passing_on) == "none"


async def test_app_given_twice_is_entered_once() -> None:
    counted, steps = Counted(), Steps()
    app, other = counted.app(), steps.lifetime()
    async with lifetimes_of([app, other, app]) as apps:
        assert apps[0] is apps[2]
    assert counted.begun == counted.ended == [0]
    assert steps == ["it begins", "it ends"]


# Wrappers


def louder(inner: App) -> App:
    async def app(exchange: Exchange) -> None:
        await exchange.inform(103, {"X-Loud": "yes"})
        await inner(exchange)

    return app


async def test_wrapper_has_the_lifetime_of_the_wrapped_app() -> None:
    counted = Counted()
    wrapped = wrapping(counted.app(), louder)
    async with open_client(wrapped) as client:
        assert (await client.get("/")).status == 103
        assert (await client.response()).body == b"0"
    assert counted.ended == [0]


async def test_wrapper_of_app_without_lifetime_has_none() -> None:
    assert not isinstance(wrapping(app, louder), AbstractAsyncContextManager)
    with pytest.raises(TypeError):
        wrapping(None, louder)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Steps().lifetime, Useless])
async def test_request_outside_of_lifetime_gets_500(
    kind: Callable[[], Any],
) -> None:
    told: list[ServerEvent] = []

    async def passing_on(exchange: Exchange) -> None:
        await without_lifetime(kind())(exchange)

    async with open_client(passing_on, report=told.append) as client:
        assert (await client.get("/path")).status == 500
    (failure,) = [event for event in told if isinstance(event, Failure)]
    assert "/path has a lifetime that has not been entered" in str(failure.error)


class Greeting:
    """A handler that is its own lifetime."""

    text = "nothing"

    async def __aenter__(self) -> Self:
        self.text = "hello"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.text = "nothing"

    async def __call__(self, request: Request) -> Response:
        return Response.text(f"{request.method}: {self.text}")


async def test_app_made_of_handler_has_the_handlers_lifetime() -> None:
    greeting = Greeting()
    assert await said_by(answering(greeting)) == "GET: hello"
    assert greeting.text == "nothing"


@asynccontextmanager
async def greeting_by_function() -> AsyncIterator[Handler]:
    async with Greeting() as greeting:
        yield greeting


async def test_lifetime_can_yield_a_handler() -> None:
    assert await said_by(answering(greeting_by_function())) == "GET: hello"


# Handlers


async def failure_of(returned: Any) -> Exception:
    """Return the error that is reported for a handler that returns ``returned``."""
    told: list[ServerEvent] = []

    async def handler(request: Request) -> Response:
        response: Response = returned
        return response

    async with open_client(answering(handler), report=told.append) as client:
        answer = await client.get("/")
        assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    (failure,) = [event for event in told if isinstance(event, Failure)]
    assert isinstance(failure.error, Exception)
    return failure.error


async def test_handler_that_returns_no_response_is_named_and_gets_500() -> None:
    error = await failure_of({"a": 1})
    assert isinstance(error, TypeError)
    assert ".handler returned a value of type dict instead of a Response: " in str(error)
    assert error.__suppress_context__  # the failed ``respond`` is an implementation detail


async def test_response_that_cannot_be_sent_is_reported_with_its_own_error() -> None:
    error = await failure_of(Response(200, {"Content-Length": "9"}, b"short"))
    assert str(error) == "Content-Length ['9'] on a body of 5 bytes"
