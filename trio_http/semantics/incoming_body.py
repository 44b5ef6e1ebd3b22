"""Request bodies while they are being received."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from trio_http.semantics.charsets import decoded
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers

# Bytes. A megabyte holds any form or JSON document that people write, and a hundred concurrent
# clients do not fill the memory of a small machine. Larger bodies should be streamed.
READ_LIMIT = 1024 * 1024


class BodyPipe(Protocol):
    """A kernel pipe that moves a body to a file without copying it through Python.

    The caller that opens a pipe must close it.
    """

    async def fill(self) -> bool:
        """Move the next bytes of the body into the pipe; return whether more will follow.

        If so, empty the pipe and fill it again. If not, the pipe may still hold bytes, and
        iterating over the body returns the bytes that the kernel could not move. Raises
        ``HTTPError`` as iterating does.
        """
        ...

    def empty_into(self, file: int) -> None:
        """Append the bytes in the pipe to an open file; this may wait for the disk."""
        ...

    def close(self) -> None:
        """Close the pipe and discard the bytes in it."""
        ...


OpenPipe: TypeAlias = Callable[[], BodyPipe | None]


def no_pipe() -> None:
    """Return None, for content that must pass through Python."""


class IncomingBody(Protocol):
    """The body of a request, received in pieces: ``async for piece in request.body``.

    It can be read once. Pieces are never empty, and their sizes mean nothing. The first read
    sends ``100 Continue`` to a client that waits for it (RFC 9110 10.1.1). A body that is
    malformed, larger than ``Limits.body``, or stops arriving raises ``HTTPError``; if the
    client has left, it raises ``ClientDisconnected``.
    """

    @property
    def trailers(self) -> Headers:
        """The trailer fields, which are empty until the last piece has been received."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def __anext__(self) -> bytes: ...

    def open_pipe(self) -> BodyPipe | None:
        """Open a pipe for the rest of the body; return None if the kernel cannot move it."""
        ...


@runtime_checkable
class _GivesWay(Protocol):
    """A body that can pause its reader, so that other tasks run.

    Parsing a large piece takes long, and ``semantics`` cannot pause on its own. A body that is
    in memory from the start, as in tests, does not need this method.
    """

    async def give_way(self) -> None:
        """Let other tasks run between two steps of parsing."""
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
            whole = bytes(piece)  # usually the only piece
    return bytes(whole)


def text_in(raw: bytes, charset: str, what: str = "the body") -> str:
    """Return bytes decoded in a charset; error messages call the bytes ``what``.

    Raises:
        HTTPError: 400 for bytes that are not valid in the charset, 415 for an unknown charset.
    """
    try:
        return decoded(raw, charset)
    except LookupError:
        raise HTTPError(415, f"the charset {charset} of {what} is unknown") from None
    except ValueError:
        raise HTTPError(400, f"{what} is not valid {charset}") from None
