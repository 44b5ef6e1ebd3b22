"""The app of the "Build your own HTTP server" challenge: the example to read first.

It greets, echoes, names the user agent, and fetches and stores files. A handler takes a
request and returns a response. Only public names of the package are used, as in any program.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from trio_http import (
    App,
    Compress,
    Permissions,
    Request,
    Response,
    Router,
    files,
    only_same_origin,
)


def challenge(directory: Path | None = None, hosts: Iterable[str] | None = None) -> App:
    """Return the challenge's app.

    Args:
        directory: the directory of the files below ``/files/`` (default: there are none).
        hosts: names of the server, as for ``only_same_origin``. The challenge's clients may
            use any name, but a browser can store nothing under another one.
    """
    app = Router()

    @app.get("/")
    async def home(request: Request) -> Response:
        return Response(200)

    # An early edition of the challenge has slashes in its texts.
    @app.get("/echo/{text:path}")
    async def echo(request: Request, text: str) -> Response:
        return Response.text(text, media_type="text/plain", compress=Compress.ALWAYS)

    @app.get("/user-agent")
    async def user_agent(request: Request) -> Response:
        name = request.headers.get("User-Agent") or ""
        # Without Vary, a cache would tell one client the name of another (RFC 9110 12.5.5).
        return Response.text(name, media_type="text/plain", headers={"Vary": "User-Agent"})

    if directory is not None:
        stored = files(
            directory,
            media_type="application/octet-stream",
            compress=Compress.ALWAYS,
            # Every file that was stored can be fetched, even if it is called ".profile".
            allow=Permissions.WRITING | Permissions.HIDDEN,
        )
        # The challenge stores with POST, so clients may not use PUT and DELETE.
        app.mount("/files", stored, methods=["GET", "HEAD"])

        @app.post("/files/{name}")
        async def upload(request: Request, name: str) -> Response:
            await stored.store(request, name)
            # A name may be any bytes, and the app may be mounted in another.
            escaped = quote(name, safe="", errors="surrogateescape")
            return Response(201, {"Location": f"{request.mount}/files/{escaped}"})

    return only_same_origin(app, hosts)
