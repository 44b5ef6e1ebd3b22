"""The content on aiohttp, with its own server: ``python -m … PORT off|on``, the access log."""

from __future__ import annotations

import logging
import os
import secrets
import sys

from aiohttp import web  # type: ignore[import-not-found, unused-ignore]

from . import content

JSON = content.document()
UPLOADS = content.directory() / content.UPLOADS


async def home(request: web.Request) -> web.Response:
    return web.Response(text=content.TEXT)


async def echo(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["text"])


async def give_back(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type=content.STREAM_TYPE)


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content.STREAM_TYPE})
    await response.prepare(request)
    for _ in range(content.PIECES):
        await response.write(content.PIECE)
    return response


async def json(request: web.Request) -> web.Response:
    response = web.Response(body=JSON, content_type=content.JSON_TYPE)
    response.enable_compression()
    return response


async def upload(request: web.Request) -> web.Response:
    """Store as trio_http does: completely or not at all, not forced to the disk."""
    part = UPLOADS / f".{secrets.token_hex(8)}"
    # Writing in the event loop blocks all other requests, and is the fastest possible way.
    with part.open("wb") as file:
        async for data in request.content.iter_any():
            file.write(data)
    os.replace(part, UPLOADS / request.match_info["name"])  # noqa: PTH105 - as above
    return web.Response(status=201)


def main(port: str, log: str) -> None:
    app = web.Application()
    app.add_routes(
        [
            web.get("/", home),
            web.post("/", give_back),
            web.get("/echo/{text}", echo),
            web.get("/stream", stream),
            web.get("/json", json),
            web.put("/uploads/{name}", upload),
            web.static("/files", content.directory() / content.FILES),
        ]
    )
    logging.basicConfig(level=logging.INFO if log == "on" else logging.WARNING)
    access_log = logging.getLogger("aiohttp.access") if log == "on" else None
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(port),
        backlog=4096,
        keepalive_timeout=75,
        access_log=access_log,
        print=None,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
