"""Files of a directory, for GET and HEAD."""

from __future__ import annotations

import os
from mimetypes import MimeTypes
from pathlib import Path

import trio

from trio_http.apps.directory import open_regular
from trio_http.http1.exchange import App, Exchange
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.messages import Compress, Response

# Python's own table without the machine's, so that a file has the same type everywhere.
_TYPES = MimeTypes()
_CODINGS = {
    "gzip": "application/gzip",
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
}


def files(
    root: str | os.PathLike[str],
    *,
    media_type: str | None = None,
    compress: Compress = Compress.WORTHWHILE,
) -> App:
    """An App that answers with the regular files of a directory.

    Nothing outside of the directory is reached, and no link is followed. Every
    file has the media type that its name suggests, or the one that is given.
    """
    folder = Path(root)

    async def app(exchange: Exchange) -> None:
        request = exchange.request
        if request.method not in {"GET", "HEAD"}:
            raise HTTPError(405, headers={"Allow": "GET, HEAD"})
        names = request.segments
        descriptor, status = await trio.to_thread.run_sync(open_regular, folder, names)
        try:
            headers = Headers([("Content-Type", media_type or media_type_of_name(names[-1]))])
            body = FileSlice(descriptor, 0, status.st_size)
            await exchange.respond(Response(200, headers, body, compress))
        finally:
            os.close(descriptor)

    return app


def media_type_of_name(name: str) -> str:
    """The media type that a file's name suggests; texts are taken to be UTF-8."""
    # It takes URLs, too: "data:" or "a:b" would be a scheme, but for the dot and slash.
    guessed, coding = _TYPES.guess_type(f"./{name}")
    if coding is not None:
        return _CODINGS.get(coding, "application/octet-stream")
    if guessed is None:
        return "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
