"""What both codecs have in common: each reads heads of requests and writes responses.

There are two. ``fast_path`` reads what almost every client sends, in a hundredth of the
time; ``h11_codec`` has h11 read everything else. A connection picks one for each exchange.
"""

from __future__ import annotations

from typing import Protocol

from trio_http.http1.response_framing import FramedResponse
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.headers import Headers, RawFields


class RequestHead:
    """The head of a request, as far as a connection needs to know it.

    Attributes:
        size: its length in bytes.
        line: the request line.
        version: ``"1.0"`` or ``"1.1"``, by whose rules it is read.
        fields: the lines of its header fields, or these parsed.
        length: of its body, in bytes; 0 for a chunked one, too.
        closes: whether the client says that this is its last request (RFC 9112 9.6).
        expects: whether the client waits for ``100 Continue`` (RFC 9110 10.1.1).
    """

    # Made for each request, so no dataclass, whose ``__init__`` would cost twice as much.
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

    def __init__(  # noqa: PLR0913, PLR0917 - that is what there is to know
        self,
        size: int,
        line: bytes,
        method: bytes,
        target: bytes,
        version: str,
        fields: bytes | Headers,
        length: int,
        closes: bool,  # noqa: FBT001 - a value, not a way to do it
        expects: bool,  # noqa: FBT001 - the same
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
    """Reads the head of a request and writes the responses to it."""

    def read(self, received: bytes | bytearray) -> RequestHead | None:
        """Return the head that ``received`` begins with, or None if this codec cannot read it."""
        ...

    def interim(self, status: int, head: bytes) -> None:
        """Take note of an interim response with this head (RFC 9110 15.2)."""
        ...

    def begin(self, message: FramedResponse, head: bytes) -> None:
        """Take note of a final response with this head.

        A body that is not streamed is sent after it as it is, and ends the response. For
        one that is, ``data`` and ``end`` return what is sent.
        """
        ...

    def data(self, piece: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
        """Return a piece of the body, which is not empty, with its framing."""
        ...

    def end(self, trailers: RawFields) -> bytes:
        """Return what comes after the body."""
        ...
