"""The app of the "Build your own HTTP server" challenge: the example to read first.

It greets, echoes text, returns the user agent, and serves and stores files. A handler takes a
request and returns a response. Like any program, it uses only public names of the package.
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
    """Return the app of the challenge.

    Args:
        directory: the directory of the files below ``/files/`` (default: no files).
        hosts: names of the server, as for ``only_same_origin``. The challenge's clients may use
            any name, but browsers cannot store files under other names.
    """
    app = Router()

    @app.get("/")
    async def home(request: Request) -> Response:
        return Response(200)

    # The texts in an early edition of the challenge contain slashes.
    @app.get("/echo/{text:path}")
    async def echo(request: Request, text: str) -> Response:
        return Response.text(text, media_type="text/plain", compress=Compress.ALWAYS)

    @app.get("/user-agent")
    async def user_agent(request: Request) -> Response:
        name = request.headers.get("User-Agent") or ""
        # Without Vary, a cache would send one client's name to another (RFC 9110 12.5.5).
        return Response.text(name, media_type="text/plain", headers={"Vary": "User-Agent"})

    if directory is not None:
        stored = files(
            directory,
            media_type="application/octet-stream",
            compress=Compress.ALWAYS,
            # Every stored file can be fetched, even if its name is ".profile".
            allow=Permissions.WRITING | Permissions.HIDDEN,
        )
        # The challenge stores files with POST, so PUT and DELETE are not allowed.
        app.mount("/files", stored, methods=["GET", "HEAD"])

        @app.post("/files/{name}")
        async def upload(request: Request, name: str) -> Response:
            await stored.store(request, name)
            # A name may consist of any bytes, and this app may be mounted in another.
            escaped = quote(name, safe="", errors="surrogateescape")
            return Response(201, {"Location": f"{request.mount}/files/{escaped}"})

    return only_same_origin(app, hosts)
