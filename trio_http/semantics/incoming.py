"""A request's body, on its way in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from trio_http.semantics.charsets import decoded
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers

# A megabyte holds any form or JSON document that people write, and a hundred
# clients at once do not fill a small machine. What is larger should be streamed.
READ_LIMIT = 1024 * 1024


class BodyPipe(Protocol):
    """A kernel pipe through which a body goes to a file without being copied through Python.

    Whoever opens a pipe closes it.
    """

    async def fill(self) -> bool:
        """Move the next bytes of the body into the pipe; return whether more are to come.

        If so, empty the pipe and fill it again. If not, the pipe may still hold bytes, and
        iterating over the body gives whatever the kernel could not move. ``HTTPError`` as
        with iterating.
        """
        ...

    def empty_into(self, file: int) -> None:
        """Append the bytes in the pipe to an open file; this may wait for a disk."""
        ...

    def close(self) -> None:
        """Close the pipe and discard the bytes in it."""
        ...


OpenPipe: TypeAlias = Callable[[], BodyPipe | None]


def no_pipe() -> None:
    """Return no pipe, for content that has no other way than through Python."""


class IncomingBody(Protocol):
    """A request's body, pulled piece by piece: ``async for chunk in request.body``.

    ``100 Continue`` (RFC 9110 10.1.1) leaves when the first piece is asked for.
    Pieces are never empty. A body that breaks off, is malformed or is larger
    than the server's limit raises ``HTTPError``. ``trailers`` are there after
    the last piece; before that, and mostly then too, there are none.
    """

    @property
    def trailers(self) -> Headers:
        """The fields behind the last chunk."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...

    def open_pipe(self) -> BodyPipe | None:
        """Open a pipe for the rest of the body; None if the kernel cannot move it."""
        ...


@runtime_checkable
class GivesWay(Protocol):
    """A body that can pause its reader, so that other tasks run.

    Parsing a large piece takes long, and ``semantics`` has no means to pause by
    itself. A body that is in memory from the start, as in tests, needs no such method.
    """

    async def give_way(self) -> None:
        """Let other tasks run, between two steps of parsing."""
        ...


GiveWay: TypeAlias = Callable[[], Awaitable[None]]


async def _go_on() -> None:
    """Return at once."""


def give_way_of(body: IncomingBody) -> GiveWay:
    """Return the function that lets other tasks run while a body is parsed."""
    return body.give_way if isinstance(body, GivesWay) else _go_on


async def read_all(body: AsyncIterator[bytes], limit: int) -> bytes:
    """All pieces in one; more than ``limit`` bytes of them are a 413."""
    whole: bytes | bytearray = b""
    async for piece in body:
        if len(whole) + len(piece) > limit:
            raise HTTPError(413, f"at most {limit} bytes are taken here")
        if whole:
            # A list of pieces of a few bytes each would take ten times their memory.
            whole = bytearray(whole) if isinstance(whole, bytes) else whole
            whole += piece
        else:
            whole = bytes(piece)  # in most cases the only one
    return bytes(whole)


def text_in(raw: bytes, charset: str, what: str = "the body") -> str:
    """Return the text that bytes are in a charset, ``what`` being what they are called.

    ``HTTPError``: 400 for bytes that are not valid in it, 415 for an unknown charset.
    """
    try:
        return decoded(raw, charset)
    except LookupError:
        raise HTTPError(415, f"the charset {charset} of {what} is unknown here") from None
    except ValueError:
        raise HTTPError(400, f"{what} is not valid {charset}") from None
