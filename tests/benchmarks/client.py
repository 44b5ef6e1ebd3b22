"""A load generator for systems without wrk: ``python -m … FILE`` reads its orders from a file.

It is written in Python, so it limits the fastest servers: good for ratios among slow servers,
and a lower bound for the others.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked")
_CLOSE = re.compile(rb"(?i)\r\nconnection:[ \t]*close")

# Seconds within which a connection must be made.
PATIENCE = 10


@dataclass(frozen=True, slots=True)
class Orders:
    """The requests to send, how many and for how long; ``request`` is a file of bytes."""

    port: int
    request: str
    connections: int
    pipelined: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Tally:
    """The results: responses, how many of them were not 2xx, and latencies in seconds."""

    answers: int
    wrong: int
    seconds: float
    middle: float | None  # the median latency
    late: float | None  # the 99th percentile


class _At(Enum):
    HEAD = auto()
    BODY = auto()
    CHUNK = auto()
    TRAILERS = auto()


class Answers:
    """Counts the responses in the bytes of a connection, however they are cut."""

    def __init__(self) -> None:
        self.complete = 0
        self.wrong = 0
        self.closing = False  # the server will close after the last response
        self._data = bytearray()
        self._at = _At.HEAD
        self._missing = 0  # bytes of the body that are still to come

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._data += data
        while self._step():
            pass

    def _step(self) -> bool:
        """Parse the next part of a response; return whether it was complete."""
        if self._missing:
            skipped = min(self._missing, len(self._data))
            del self._data[:skipped]
            self._missing -= skipped
            return not self._missing
        match self._at:
            case _At.HEAD:
                return self._head()
            case _At.BODY:
                return self._end()
            case _At.CHUNK:
                return self._chunk()
            case _At.TRAILERS:
                line = self._take(b"\r\n")
                return self._end() if line == b"" else line is not None

    def _take(self, mark: bytes) -> bytes | None:
        """Take the bytes before a mark, or None if it has not arrived."""
        end = self._data.find(mark)
        if end < 0:
            return None
        taken = bytes(self._data[:end])
        del self._data[: end + len(mark)]
        return taken

    def _head(self) -> bool:
        head = self._take(b"\r\n\r\n")
        if head is None:
            return False
        status = head[9:12]
        if status.startswith(b"1"):
            return True
        self.wrong += not status.startswith(b"2")
        self.closing = _CLOSE.search(head) is not None
        if _CHUNKED.search(head):
            self._at = _At.CHUNK
            return True
        length = _LENGTH.search(head)
        self._at, self._missing = _At.BODY, int(length[1]) if length else 0
        return True

    def _chunk(self) -> bool:
        line = self._take(b"\r\n")
        if line is None:
            return False
        size = int(line.partition(b";")[0], 16)
        if size:
            self._missing = size + 2
        else:
            self._at = _At.TRAILERS
        return True

    def _end(self) -> bool:
        self.complete += 1
        self._at = _At.HEAD
        return True


class _Connection:
    """A client that sends requests and counts responses."""

    def __init__(self, orders: Orders, request: bytes) -> None:
        self._orders = orders
        self._request = request
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._orders.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)  # noqa: FBT003 - the library's own signature
        self.answers = Answers()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def reconnect(self) -> None:
        """Make a new connection, because the server closes the present one."""
        self.close()
        self._open()

    def ask(self) -> None:
        """Begin another round of requests."""
        self.began = time.perf_counter()
        self._rest = memoryview(self._request)

    def send(self) -> bool:
        """Send as much as possible; return whether that was everything."""
        with suppress(BlockingIOError):
            self._rest = self._rest[self.socket.send(self._rest) :]
        return not self._rest

    def receive(self) -> bool:
        """Receive bytes; return whether all responses are complete."""
        try:
            data = self.socket.recv(262144)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionError("the server closed the connection before it answered")
        self.answers.feed(data)
        return self.answers.complete >= self._orders.pipelined


def run(orders: Orders) -> Tally:
    """Send requests until the time is up."""
    request = Path(orders.request).read_bytes() * orders.pipelined
    with ExitStack() as frame:
        selector = frame.enter_context(closing(selectors.DefaultSelector()))
        connections = [_Connection(orders, request) for _ in range(orders.connections)]
        for connection in connections:
            frame.callback(connection.close)
        return _Round(orders, selector).run(connections)


class _Round:
    def __init__(self, orders: Orders, selector: selectors.BaseSelector) -> None:
        self._orders = orders
        self._selector = selector
        self._latencies: list[float] = []
        self._wrong = 0

    def run(self, connections: list[_Connection]) -> Tally:
        began = time.perf_counter()
        end = began + self._orders.seconds
        for connection in connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._ask(connection)
        while (now := time.perf_counter()) < end:
            for key, events in self._selector.select(end - now):
                self._go_on(key.data, events)
        seconds = time.perf_counter() - began
        return tally(self._latencies, self._orders.pipelined, self._wrong, seconds)

    def _go_on(self, connection: _Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE and connection.send():
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        if events & selectors.EVENT_READ and connection.receive():
            self._answered(connection)

    def _ask(self, connection: _Connection) -> None:
        connection.ask()
        if not connection.send():
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            self._selector.modify(connection.socket, both, connection)

    def _answered(self, connection: _Connection) -> None:
        self._latencies.append(time.perf_counter() - connection.began)
        self._wrong += connection.answers.wrong
        if connection.answers.closing:
            self._selector.unregister(connection.socket)
            connection.reconnect()
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.answers.complete = connection.answers.wrong = 0
        self._ask(connection)


def tally(latencies: list[float], pipelined: int, wrong: int, seconds: float) -> Tally:
    """Sum up the results; requests that were sent at once share a latency."""
    ordered = sorted(latencies)
    return Tally(
        len(ordered) * pipelined,
        wrong,
        seconds,
        ordered[len(ordered) // 2] if ordered else None,
        ordered[len(ordered) * 99 // 100] if ordered else None,
    )


if __name__ == "__main__":
    given = Orders(**json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write(json.dumps(asdict(run(given))))
