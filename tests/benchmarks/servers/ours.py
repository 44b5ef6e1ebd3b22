"""The content on trio_http, as a user writes it: a Router, served by ``trio-http app``."""

from __future__ import annotations

from trio_http import Request, Response, Router, Send, Stream, files
from trio_http.file_server.permissions import Permissions

from . import content

JSON = content.document()

app = Router()
app.mount("/files", files(content.directory() / content.FILES))
app.mount("/uploads", files(content.directory() / content.UPLOADS, allow=Permissions.WRITING))


@app.get("/")
async def home(request: Request) -> Response:
    return Response.text(content.TEXT)


@app.get("/echo/{text}")
async def echo(request: Request, text: str) -> Response:
    return Response.text(text)


@app.post("/")
async def give_back(request: Request) -> Response:
    return Response(200, {"Content-Type": content.STREAM_TYPE}, await request.read())


@app.get("/stream")
async def stream(request: Request) -> Response:
    return Response(200, {"Content-Type": content.STREAM_TYPE}, Stream(produce))


async def produce(send: Send) -> None:
    for _ in range(content.PIECES):
        await send(content.PIECE)


@app.get("/json")
async def json(request: Request) -> Response:
    return Response(200, {"Content-Type": content.JSON_TYPE}, JSON)
