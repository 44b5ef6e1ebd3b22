"""Server-sent events: a response that goes on telling (HTML, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: what its listeners are given, and what it is called.

    ``id`` is what a client tells in ``Last-Event-ID`` when it comes back,
    ``retry`` how long it should wait before that, in milliseconds. Line ends
    in ``data`` arrive as line feeds; the others are one line each, or ``ValueError``.
    """

    data: str
    event: str = ""
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        for text in (self.event, self.id or ""):
            if _LINE_END.search(text) or "\0" in text:
                raise ValueError(f"not one line: {text!r}")
        if self.retry is not None and self.retry < 0:
            raise ValueError(f"not a time to wait: {self.retry}")

    def __bytes__(self) -> bytes:
        lines = [f"event: {self.event}"] if self.event else []
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


SendEvent: TypeAlias = Callable[[ServerSentEvent], Awaitable[None]]
"""Passes one event on; returns when the client has room for more."""

# A line that clients skip, so that what stands between sees a live connection.
KEEP_ALIVE = b": still here\n\n"
# Proxies commonly give up after a minute of silence; phones' networks sooner.
KEEP_ALIVE_AFTER = 15.0
