"""The interface of the two codecs, which parse request heads and frame responses.

``fast_path`` parses the requests that almost every client sends, in a hundredth of h11's
time; ``h11_codec`` passes all others to h11. A connection picks a codec for each exchange.
"""

from __future__ import annotations

from typing import Protocol

from trio_http.http1.response_framing import FramedResponse
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.headers import Headers, RawFields


class RequestHead:
    """A parsed request head.

    Attributes:
        size: the length of the head in bytes.
        line: the request line.
        version: ``"1.0"`` or ``"1.1"``, the version whose rules apply.
        fields: the header fields, as unparsed lines or parsed.
        length: the value of ``Content-Length``; 0 for a chunked body.
        closes: whether the client sent ``Connection: close`` (RFC 9112 9.6).
        expects: whether the client waits for ``100 Continue`` (RFC 9110 10.1.1).
    """

    # One is made per request. The ``__init__`` of a frozen dataclass would cost twice as much.
    __slots__ = (
        "closes",
        "expects",
        "fields",
        "length",
        "line",
        "method",
        "size",
        "target",
        "version",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of one value
        self,
        size: int,
        line: bytes,
        method: bytes,
        target: bytes,
        version: str,
        fields: bytes | Headers,
        length: int,
        closes: bool,  # noqa: FBT001 - a value, not an option
        expects: bool,  # noqa: FBT001 - as above
    ) -> None:
        self.size: int = size
        self.line: bytes = line
        self.method: bytes = method
        self.target: bytes = target
        self.version: str = version
        self.fields: bytes | Headers = fields
        self.length: int = length
        self.closes: bool = closes
        self.expects: bool = expects


class Codec(Protocol):
    """Parses the head of a request and frames the responses to it."""

    def read(self, received: bytes | bytearray) -> RequestHead | None:
        """Return the head at the start of ``received``, or None if this codec cannot parse it."""
        ...

    def interim(self, status: int, head: bytes) -> None:
        """Record that an interim response with this head is sent (RFC 9110 15.2)."""
        ...

    def begin(self, message: FramedResponse, head: bytes) -> None:
        """Record that a final response with this head is sent.

        If the body is streamed, ``data`` and ``end`` return the bytes that follow the head.
        Any other body is sent unchanged and ends the response.
        """
        ...

    def data(self, piece: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
        """Return a non-empty piece of the body with its framing."""
        ...

    def end(self, trailers: RawFields) -> bytes:
        """Return the bytes that follow the body."""
        ...
