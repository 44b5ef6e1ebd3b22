"""Requests of the benchmark, and the correct responses to them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache


@cache
def noise(size: int) -> bytes:
    """Return incompressible bytes, always the same."""
    return random.Random(size).randbytes(size)  # noqa: S311 - not a secret


@dataclass(frozen=True, slots=True)
class Ask:
    """A request; ``size`` is the length of its body, whose bytes ``noise`` makes."""

    method: str = "GET"
    path: str = "/"
    fields: tuple[tuple[str, str], ...] = ()
    size: int = 0

    def head(self, host: str) -> bytes:
        """Return everything before the body, as wrk sends it."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.size:
            lines.append(f"Content-Length: {self.size}")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Expected:
    """The correct response, decoded; ``document`` is the name of a file below ``files/``."""

    statuses: tuple[int, ...] = (200,)
    media_type: str | None = None
    body: bytes = b""
    document: str | None = None
    fields: tuple[tuple[str, str], ...] = ()  # names, and substrings of the values


# The fields that a browser sends with every request, in its order.
BROWSER = (
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    ("sec-ch-ua", '"Not/A)Brand";v="8", "Chromium";v="138"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Sec-Fetch-Site", "none"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes"),
)

CLOSE = (("Connection", "close"),)
