"""Errors that tell the author of a handler how to correct it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any


def wrong_return(handler: Any, returned: object) -> TypeError:
    """Return the error for a handler that returned something other than a Response."""
    name = getattr(handler, "__qualname__", None)
    named = repr(handler) if name is None else f"{handler.__module__}.{name}"
    kind = "None" if returned is None else f"a value of type {type(returned).__name__}"
    return TypeError(f"the handler {named} returned {kind} instead of a Response: {_way(returned)}")


def _way(returned: object) -> str:
    match returned:
        case None:
            return "return Response(204) for an empty response"
        case str():
            return "return Response.text(…) or Response.html(…)"
        case bytes() | bytearray() | memoryview():
            return "return Response(200, {'Content-Type': …}, …)"
        case tuple():
            return "return Response(status, headers, body)"
        case Awaitable():
            return "await it and return the result"
        case _:
            return "return Response.json(…)"
