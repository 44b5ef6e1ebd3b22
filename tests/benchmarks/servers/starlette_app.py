"""The content on Starlette: its routes, static files and gzip middleware."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator

from starlette.applications import Starlette  # type: ignore[import-not-found, unused-ignore]
from starlette.middleware import Middleware  # type: ignore[import-not-found, unused-ignore]
from starlette.middleware.gzip import (  # type: ignore[import-not-found, unused-ignore]
    GZipMiddleware,
)
from starlette.requests import Request  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import (  # type: ignore[import-not-found, unused-ignore]
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route  # type: ignore[import-not-found, unused-ignore]
from starlette.staticfiles import StaticFiles  # type: ignore[import-not-found, unused-ignore]

from . import content

JSON = content.document()
UPLOADS = content.directory() / content.UPLOADS


async def home(request: Request) -> Response:
    return PlainTextResponse(content.TEXT)


async def echo(request: Request) -> Response:
    return PlainTextResponse(request.path_params["text"])


async def give_back(request: Request) -> Response:
    return Response(await request.body(), media_type=content.STREAM_TYPE)


async def stream(request: Request) -> Response:
    return StreamingResponse(produce(), media_type=content.STREAM_TYPE)


async def produce() -> AsyncIterator[bytes]:
    for _ in range(content.PIECES):
        yield content.PIECE


async def json(request: Request) -> Response:
    return Response(JSON, media_type=content.JSON_TYPE)


async def upload(request: Request) -> Response:
    """Store as trio_http does: completely or not at all, not forced to the disk."""
    target = UPLOADS / request.path_params["name"]
    part = UPLOADS / f".{secrets.token_hex(8)}"
    # Writing in the event loop blocks all other requests, and is the fastest possible way.
    with part.open("wb") as file:
        async for data in request.stream():
            file.write(data)
    os.replace(part, target)  # noqa: PTH105 - as above
    return Response(status_code=201)


app = Starlette(
    routes=[
        Route("/", home),
        Route("/", give_back, methods=["POST"]),
        Route("/echo/{text}", echo),
        Route("/stream", stream),
        Route("/json", json),
        Route("/uploads/{name}", upload, methods=["PUT"]),
        Mount("/files", StaticFiles(directory=content.directory() / content.FILES)),
    ],
    middleware=[Middleware(GZipMiddleware)],
)
