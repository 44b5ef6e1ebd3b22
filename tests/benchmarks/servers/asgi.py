"""An ASGI application without a framework: the best case for Hypercorn, Uvicorn and Granian."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from . import content

Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"]
    if path == "/stream":
        await _stream(send)
    elif scope["method"] == "POST":
        await _answer(send, content.STREAM_TYPE, await _read(receive))
    elif path == "/":
        await _answer(send, content.TEXT_TYPE, content.TEXT.encode())
    elif path.startswith("/echo/"):
        await _answer(send, content.TEXT_TYPE, path.removeprefix("/echo/").encode())
    else:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})


async def _answer(send: Send, media_type: str, body: bytes) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(pieces)


async def _stream(send: Send) -> None:
    headers = [(b"content-type", content.STREAM_TYPE.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(content.PIECES):
        await send({"type": "http.response.body", "body": content.PIECE, "more_body": True})
    await send({"type": "http.response.body"})


async def _live(receive: Receive, send: Send) -> None:
    """Take part in the lifespan: otherwise Hypercorn logs a complaint."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
