"""Errors that tell the author of a handler how to correct it."""

from collections.abc import Iterator
from functools import partial

import pytest
from support import NO_BODY

from trio_http.http1.handler_errors import wrong_return
from trio_http.semantics.headers import NO_FIELDS
from trio_http.semantics.request import Request


async def handler(request: Request) -> None:
    pass


class Answering:
    async def __call__(self, request: Request) -> None:
        pass

    def __repr__(self) -> str:
        return "<a callable>"


class Awaited:
    def __await__(self) -> Iterator[object]:
        raise AssertionError("it must not be awaited")


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, "None instead of a Response: return Response(204) for an empty response"),
        ("", "a value of type str instead of a Response: return Response.text(…) or "),
        (b"", "a value of type bytes instead of a Response: return Response(200, {"),
        (bytearray(), "a value of type bytearray instead of a Response: return Response(200, {"),
        (("", 404), "a value of type tuple instead of a Response: return Response(status, "),
        ({}, "a value of type dict instead of a Response: return Response.json(…)"),
        ([1], "a value of type list instead of a Response: return Response.json(…)"),
        (1.5, "a value of type float instead of a Response: return Response.json(…)"),
        (Awaited(), "a value of type Awaited instead of a Response: await it "),
        # has a body and headers, but is not a response
        (Request("GET", "/", "1.1", NO_FIELDS, NO_BODY), "a value of type Request instead of"),
    ],
)
def test_error_says_what_to_return(returned: object, expected: str) -> None:
    error = wrong_return(handler, returned)
    assert str(error).startswith(f"the handler {__name__}.handler returned {expected}")


@pytest.mark.parametrize("named", [Answering(), partial(handler)])
def test_handler_without_name_is_shown_by_its_repr(named: object) -> None:
    assert str(wrong_return(named, {})).startswith(f"the handler {named!r} returned a value of ")
