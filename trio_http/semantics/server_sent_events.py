"""Server-sent events, written and parsed (HTML, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

_LINE_END = re.compile(r"\r\n|\r|\n")
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    r"""An event sent by ``Response.events`` and received by ``testing.Client``.

    ``data`` is text, not a value: to send JSON, pass ``json.dumps(value)``.

    Args:
        data: the text passed to the listener. Line ends of any kind arrive as ``\n``.
        event: the name that a page passes to ``addEventListener``. Empty, the default, means
            ``message``: the events that ``onmessage`` receives.
        id: the ``Last-Event-ID`` that the client sends when it reconnects. An empty text makes
            it send none; None, the default, keeps the last id.
        retry: milliseconds that the client waits before it reconnects. None, the default,
            leaves the client's own choice, which is a few seconds.

    Raises:
        ValueError: ``event`` or ``id`` contains a line end or NUL, or ``retry`` is negative.
    """

    data: str
    event: str = ""
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        for text in (self.event, self.id or ""):
            if _LINE_END.search(text) or "\0" in text:
                raise ValueError(f"not a single line: {text!r}")
        if self.retry is not None and self.retry < 0:
            raise ValueError(f"retry is negative: {self.retry}")

    @classmethod
    def parse(cls, text: str) -> ServerSentEvent | None:
        """Return the event in some lines, or None if they are not an event.

        Lines without data, such as comments, are not an event (HTML 9.2.6).

        Args:
            text: the lines between two blank lines.
        """
        fields: dict[str, str] = {}
        data = []
        for line in _LINE_END.split(text):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif "\0" not in value:
                fields[name] = value
        if not data:
            return None
        retry = fields.get("retry", "")
        milliseconds = int(retry) if _DIGITS.fullmatch(retry) else None
        return cls("\n".join(data), fields.get("event", ""), fields.get("id"), milliseconds)

    def __bytes__(self) -> bytes:
        lines = [f"event: {self.event}"] if self.event else []
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


SendEvent: TypeAlias = Callable[[ServerSentEvent], Awaitable[None]]
"""Sends one event; returns when the client has room for more."""

# A comment, which clients skip. It shows proxies between client and server that the connection
# is in use.
KEEP_ALIVE = b": still here\n\n"
# Seconds. Proxies commonly give up after a minute of silence; mobile networks sooner.
KEEP_ALIVE_AFTER = 15.0
