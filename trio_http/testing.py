r"""Talk to an App without sockets: bytes both ways, over streams in memory.

With pytest-trio's autojump clock, time-outs pass in no time:

    async def test_hello(autojump_clock):
        async with open_client(app) as client:
            answer = await client.get("/hello/ada")
            assert answer.body == b"hello, ada\n"
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
import trio.testing

from trio_http.http1.connection import Service, serve_alone
from trio_http.http1.lifetime import Servable, entered
from trio_http.http1.reports import Report, report_failures
from trio_http.semantics.headers import Fields, Headers, bytes_of
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts

_SENDING = {"PATCH", "POST", "PUT"}


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """A response as it arrived; chunks are joined, codings are left as they are."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    trailers: Headers


class Client:
    """The client's end of a connection. It sends what it is told to, right or wrong."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self._received = bytearray()

    async def send(self, data: bytes) -> None:
        """Send these bytes as they are."""
        await self.stream.send_all(data)

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self.stream.send_eof()

    async def request(
        self, method: str, target: str, headers: Fields = (), body: bytes = b""
    ) -> ReceivedResponse:
        """Send a request, with ``Host`` and ``Content-Length`` where they are not given.

        A method that sends content has a length also where there is none (RFC 9110 8.6).
        """
        fields = Headers(headers).defaulting("Host", "test")
        if (body or method in _SENDING) and "Transfer-Encoding" not in fields:
            fields = fields.defaulting("Content-Length", str(len(body)))
        lines = b"".join(b"%b: %b\r\n" % pair for pair in fields.raw)
        await self.send(bytes_of(f"{method} {target} HTTP/1.1\r\n") + lines + b"\r\n" + body)
        return await self.answer(method)

    async def get(self, target: str, headers: Fields = ()) -> ReceivedResponse:
        """Send a GET request and return its answer."""
        return await self.request("GET", target, headers)

    async def answer(self, method: str = "GET") -> ReceivedResponse:
        """The next response, which tells how it ends; to HEAD it has no body.

        A connection that ends before that raises ``EOFError``.
        """
        line, headers = await self._head()
        _, status, reason = line.split(b" ", 2)
        body, trailers = b"", Headers()
        if method == "HEAD" or int(status) < 200 or status in {b"204", b"304"}:
            pass  # whatever the fields say (RFC 9112 6.3)
        elif headers.get("Transfer-Encoding") == "chunked":
            body, trailers = await self._chunks()
        elif "Content-Length" in headers:
            body = await self._take(int(headers["Content-Length"]))
        else:
            body = await self.rest()
        return ReceivedResponse(int(status), reason.decode(), headers, body, trailers)

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        while await self._receive():
            pass
        return self._cut(len(self._received))

    async def _head(self) -> tuple[bytes, Headers]:
        lines = []
        while line := await self._line():
            lines.append(line)
        pairs = [(n, v.strip()) for n, _, v in (line.partition(b":") for line in lines[1:])]
        return lines[0], Headers.received(pairs)

    async def _chunks(self) -> tuple[bytes, Headers]:
        chunks = []
        while size := int((await self._line()).partition(b";")[0], 16):
            chunks.append(await self._take(size))
            await self._line()
        trailers = []
        while line := await self._line():
            name, _, value = line.partition(b":")
            trailers.append((name, value.strip()))
        return b"".join(chunks), Headers.received(trailers)

    async def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            await self._need_more()
        return self._cut(end + 2)[:-2]

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._need_more()
        return self._cut(size)

    def _cut(self, size: int) -> bytes:
        cut = bytes(self._received[:size])
        del self._received[:size]
        return cut

    async def _need_more(self) -> None:
        if not await self._receive():
            raise EOFError(f"the connection has ended within a response: {bytes(self._received)!r}")

    async def _receive(self) -> bool:
        data = await self.stream.receive_some(65536)
        self._received += data
        return bool(data)


@asynccontextmanager
async def open_client(
    app: Servable,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
) -> AsyncIterator[Client]:
    """A client with a connection of its own; leaving the block ends both.

    The lifetime of ``app`` is entered before the block and left after it; what its frame
    raises is raised here.
    """
    near, far = trio.testing.memory_stream_pair()
    async with entered(app, timeouts) as within:
        service = Service(within, timeouts, limits, report)
        # The server's end of the connection runs beside the test.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_alone, service, far, "local")
            yield Client(near)
            await near.aclose()
            nursery.cancel_scope.cancel()
