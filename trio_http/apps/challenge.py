"""The challenge's server, and the example to read first.

Build your own HTTP server: greet, echo, name the user agent, fetch and store
files. Handlers are given a request and return a response.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from trio_http.apps.cross_site import only_same_origin
from trio_http.apps.routing import Router
from trio_http.file_server.app import files
from trio_http.file_server.atomic_write import store
from trio_http.file_server.partial_file import remove_abandoned_parts
from trio_http.file_server.permissions import Permissions
from trio_http.file_server.root import Root
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.http1.exchange import App
from trio_http.semantics.headers import bytes_of
from trio_http.semantics.messages import Compress, Request, Response


def challenge(directory: Path | None = None, hosts: Iterable[str] | None = None) -> App:
    """Return the challenge's app.

    Args:
        directory: where the files under ``/files/`` are; without it there are none.
        hosts: names of the server, as for ``only_same_origin``. The challenge's clients
            name any host and are answered, but browsers store nothing under another name.
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
        response = Response.text(request.headers.get("User-Agent") or "", media_type="text/plain")
        # Or a cache would name one client to another (RFC 9110 12.5.5).
        return response.replacing_headers(response.headers.adding("Vary", "User-Agent"))

    if directory is not None:
        remove_abandoned_parts(directory)
        # Whatever was stored can be fetched, be it called ".profile".
        allow = Permissions.HIDDEN
        uploads = Root(directory, allow)
        media_type = "application/octet-stream"
        download = files(directory, media_type=media_type, compress=Compress.ALWAYS, allow=allow)
        app.mount("/files", download, methods=["GET", "HEAD"])

        @app.post("/files/{name}")
        async def upload(request: Request, name: str) -> Response:
            preconditions = WritePreconditions.of(request)
            await store(request.body, uploads, [name], preconditions, request.body.open_pipe)
            # Below any mount, and in the spelling of a link on a page of these files.
            place = f"{request.mount}/files/{quote(bytes_of(name), safe='')}"
            return Response(201, {"Location": place})

    return only_same_origin(app, hosts)
