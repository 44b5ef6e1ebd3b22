"""The body of a request, which is received when the app asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

import h11
import trio

from trio_http.http1.receive_buffer import ReceiveBuffer
from trio_http.http1.request_framing import CHUNKS_AT_ONCE, Chunked, Counted, Framing
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.incoming_body import BodyPipe
from trio_http.semantics.limits import Limits
from trio_http.semantics.pace import Pace
from trio_http.semantics.timeouts import Timeouts
from trio_http.semantics.trailers import believed
from trio_http.transport.splice import ROOM, Pipe

T = TypeVar("T")

GoOn: TypeAlias = Callable[[], Awaitable[None]]

# Bytes in each piece of a large body. Memory for larger pieces is requested from the kernel each
# time, which costs more than the saved calls.
LARGE_PIECE = 128 * 1024


class RequestBody:
    """The body of the current request; each connection reuses one object.

    Bytes are received only when a task asks for them. A body of known length goes from the
    socket to that task. Chunks that have arrived are joined, and h11 parses the trailers. h11
    parses any other body itself.
    """

    __slots__ = (
        "_awaits_continue",
        "_began",
        "_declared",
        "_framing",
        "_h11",
        "_input",
        "_limits",
        "_pace",
        "_received",
        "_rest",
        "_timeouts",
        "is_none",
        "is_sound",
        "trailers",
    )

    def __init__(self, source: ReceiveBuffer, timeouts: Timeouts, limits: Limits) -> None:
        self.trailers: Headers = NO_FIELDS
        """The fields after the last chunk, once they have been read."""
        self.is_none: bool = True
        """True if the request has no body, so that nothing has to be read."""
        self.is_sound: bool = True
        """True if the framing has been correct so far, so that the end of the body is known."""
        self._input = source
        self._timeouts = timeouts
        self._limits = limits
        self._h11: h11.Connection | None = None  # None if empty or of known length
        self._rest = 0  # unread bytes of a body with a known length
        # Sends ``100 Continue`` if the client waits for it. h11 stops waiting after any interim
        # response, but only 100 tells the client to continue (RFC 9110 15.2.1).
        self._awaits_continue: GoOn | None = None
        self._framing: Framing = Counted(0)
        self._declared = 0  # the value of Content-Length
        self._received = 0  # bytes that have been read
        self._pace: Pace | None = None  # of the current body, once it has been waited for
        self._began = 0.0  # time at which a chunked body began

    def begin_counted(self, length: int, go_on: GoOn | None = None) -> None:
        """Begin a body of ``length`` bytes; ``go_on`` tells a waiting client to send it."""
        self.is_none = not length
        self._h11 = None
        self._awaits_continue = go_on
        self._declared = self._rest = length
        self._received = 0
        self._pace = None
        self.trailers = NO_FIELDS
        self.is_sound = True

    def begin_unknown(self) -> None:
        """Begin a body with an unknown end: that of a head that may still be refused."""
        self.begin_counted(0)
        self.is_none = self.is_sound = False

    def begin(self, state: h11.Connection, request: h11.Request, go_on: GoOn) -> None:
        """Begin the body of a request that h11 has just read."""
        declared = next((int(v) for n, v in request.headers if n == b"content-length"), 0)
        self.begin_counted(declared, go_on if state.they_are_waiting_for_100_continue else None)
        self.is_none = False
        self._h11 = state
        self._rest = 0  # h11 counts the bytes
        if any(n == b"transfer-encoding" for n, _ in request.headers):
            self._framing = Chunked(self._limits)
            self._began = trio.current_time()
        else:
            self._framing = Counted(self._declared)

    def was_continued(self) -> None:
        """Record that the client has been told to go on."""
        self._awaits_continue = None

    @property
    def is_worth_reading(self) -> bool:
        """True if the rest of the body should be read only to reach its end.

        A client that was not told to continue may or may not send its body (RFC 9110 10.1.1),
        and reading a large body only to drop it is a waste.
        """
        return (
            self._awaits_continue is None
            and self._declared <= self._limits.body
            and self._declared - self._received <= self._limits.skip
        )

    @property
    def is_read(self) -> bool:
        """True once the whole body has been read."""
        return not self._rest and (self._h11 is None or self._h11.their_state is not h11.SEND_BODY)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.receive()
        if not data:
            raise StopAsyncIteration
        return data

    async def receive(self) -> bytes:
        """Return the next bytes, or no bytes at the end.

        The first call sends ``100 Continue`` to a client that waits for it. Raises ``HTTPError``
        if the body is malformed, cut off or too large, or stops arriving.
        """
        try:
            if self._rest:
                return await self._next_counted()
            # After an error, h11 raises it again: a body that broke off has no end.
            if self._h11 is not None and self._h11.their_state in {h11.SEND_BODY, h11.ERROR}:
                return await self._next_data(self._h11)
        except HTTPError:
            self.is_sound = False
            raise
        return b""

    async def give_way(self) -> None:
        """Let other tasks run between two steps of parsing."""
        await trio.lowlevel.checkpoint()

    def open_pipe(self) -> BodyPipe | None:
        """Open a pipe for the rest of the body; None if the kernel cannot move it.

        A pipe pays off from 128 KiB on, if not before.
        """
        pipe = self._input.open_pipe() if self._rest else None
        return None if pipe is None else _BodyPipe(self, pipe)

    async def receive_into(self, pipe: Pipe) -> bool:
        """Move the next bytes into a pipe, as ``BodyPipe.fill`` does."""
        await trio.lowlevel.checkpoint()
        try:
            await self._allow()
            while self._rest and pipe.held < ROOM:
                moved = self._move(pipe)
                if moved is None:
                    if not pipe.has_room:
                        break
                    await self._in_time(self._input.readable())
        except HTTPError:
            self.is_sound = False
            raise
        return pipe.held > 0 and self._rest > 0

    def _move(self, pipe: Pipe) -> int | None:
        moved = self._input.move(pipe, min(self._rest, ROOM - pipe.held))
        if moved == 0:
            raise _malformed()
        self._count(moved or 0)
        return moved

    def _count(self, size: int) -> None:
        self._rest -= size
        self._received += size

    async def _next_counted(self) -> bytes:
        await self._allow()
        size = min(self._rest, LARGE_PIECE)
        data = self._input.cut(size) or await self._in_time(self._input.receive(size))
        if not data:
            raise _malformed()
        self._count(len(data))
        return data

    async def _in_time(self, receiving: Awaitable[T]) -> T:
        self._pace = pace = self._pace or Pace(self._limits.receive_rate)
        pace.reach(self._received)
        began = trio.current_time()
        with trio.CancelScope(deadline=began + self._timeouts.receive - pace.lag):
            received = await receiving
            pace.wait(trio.current_time() - began)
            return received
        raise HTTPError(408, "the request body arrives too slowly")

    async def _next_data(self, state: h11.Connection) -> bytes:
        await self._allow()
        chunked = self._framing
        if (
            isinstance(chunked, Chunked)
            and not chunked.is_at_trailers
            and (data := await self._next_chunks(chunked, state))
        ):
            return data
        while True:
            try:
                event = state.next_event()
            except h11.RemoteProtocolError as error:
                raise _malformed() from error
            match event:
                case h11.Data():
                    self._received += len(event.data)
                    return bytes(event.data)
                case h11.EndOfMessage():
                    self.trailers = believed(event.headers.raw_items())
                    return b""
                case _:  # h11.NEED_DATA
                    await self._feed(state)

    async def _next_chunks(self, chunked: Chunked, state: h11.Connection) -> bytes:
        """Wait for data; return that of all chunks that have arrived, joined.

        Returns no bytes if only the trailers are left.
        """
        while True:
            size, pieces = chunked.read(self._input.unread)
            self._input.drop(size)
            data = b"".join(pieces)
            self._received += len(data)
            if self._received > self._limits.body:
                raise self._too_large()
            chunked.check_proportion(self._received, trio.current_time() - self._began)
            if len(pieces) >= CHUNKS_AT_ONCE:  # more may have arrived
                await trio.lowlevel.checkpoint()
            if chunked.is_at_trailers:
                state.receive_data(b"0\r\n")
                return data
            if data:
                return data
            await self._in_time(self._input.receive_more())
            if self._input.ended:
                raise _malformed()

    async def _allow(self) -> None:
        """Refuse a body beyond the limit, and tell a waiting client to continue."""
        if self._declared > self._limits.body:
            raise self._too_large()
        if self._awaits_continue is not None:
            await self._awaits_continue()

    def _too_large(self) -> HTTPError:
        return HTTPError(413, f"the request body is larger than {self._limits.body:.0f} bytes")

    async def _feed(self, state: h11.Connection) -> None:
        """Pass received bytes of the body to h11, but none that follow it."""
        while not (size := self._framing.take(self._input.unread)):
            await self._in_time(self._input.receive_more())
            if self._input.ended:
                break  # no bytes tell h11 that the input has ended
        state.receive_data(self._input.cut(size))

    async def skip(self) -> bool:
        """Read and drop the rest, up to the limit; return whether the end was reached."""
        last = self._received + self._limits.skip
        try:
            while await self.receive():
                if self._received > last:
                    return False
        except HTTPError:
            return False
        return True


class _BodyPipe:
    """A ``BodyPipe`` that is filled from the connection."""

    __slots__ = ("_body", "_pipe")

    def __init__(self, body: RequestBody, pipe: Pipe) -> None:
        self._body = body
        self._pipe = pipe

    async def fill(self) -> bool:
        return await self._body.receive_into(self._pipe)

    def empty_into(self, file: int) -> None:
        self._pipe.empty_into(file)

    def close(self) -> None:
        self._pipe.close()


def _malformed() -> HTTPError:
    return HTTPError(400, "the request body is malformed or incomplete")
