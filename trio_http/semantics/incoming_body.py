"""Request bodies, while they are being received."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from trio_http.semantics.charsets import decoded
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers

# Bytes. A megabyte holds any form or JSON document that people write, and a hundred clients
# at once do not fill a small machine. Larger bodies should be streamed.
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
    """The body of a request, received piece by piece: ``async for piece in request.body``.

    It can be read once. The pieces are never empty, and their sizes mean nothing. The first
    look at it sends ``100 Continue`` to clients that wait for that (RFC 9110 10.1.1).
    A body that is malformed or larger than ``Limits.body``, or that stops coming, raises
    ``HTTPError``; one whose client has left raises ``ClientDisconnected``.
    """

    @property
    def trailers(self) -> Headers:
        """The trailer fields, which are empty until the last piece has been received."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...

    def open_pipe(self) -> BodyPipe | None:
        """Open a pipe for the rest of the body; None if the kernel cannot move it."""
        ...


@runtime_checkable
class _GivesWay(Protocol):
    """A body that can pause its reader, so that other tasks run.

    Parsing a large piece takes long, and ``semantics`` cannot pause by itself. A body that is
    in memory from the start, as in tests, needs no such method.
    """

    async def give_way(self) -> None:
        """Let other tasks run, between two steps of parsing."""
        ...


GiveWay: TypeAlias = Callable[[], Awaitable[None]]


async def _go_on() -> None:
    """Return at once."""


def give_way_of(body: IncomingBody) -> GiveWay:
    """Return the function that lets other tasks run while a body is parsed."""
    return body.give_way if isinstance(body, _GivesWay) else _go_on


async def read_all(body: AsyncIterator[bytes], limit: int) -> bytes:
    """Return all pieces joined.

    Raises:
        HTTPError: 413 for more than ``limit`` bytes.
    """
    whole: bytes | bytearray = b""
    async for piece in body:
        if len(whole) + len(piece) > limit:
            raise HTTPError(413, f"more than {limit} bytes are not accepted")
        if whole:
            # A list of pieces of a few bytes each takes ten times their memory.
            whole = bytearray(whole) if isinstance(whole, bytes) else whole
            whole += piece
        else:
            whole = bytes(piece)  # usually the only one
    return bytes(whole)


def text_in(raw: bytes, charset: str, what: str = "the body") -> str:
    """Return the text that bytes are in a charset; errors call the bytes ``what``.

    Raises:
        HTTPError: 400 for bytes that are not valid in the charset, 415 for an unknown one.
    """
    try:
        return decoded(raw, charset)
    except LookupError:
        raise HTTPError(415, f"the charset {charset} of {what} is unknown") from None
    except ValueError:
        raise HTTPError(400, f"{what} is not valid {charset}") from None
