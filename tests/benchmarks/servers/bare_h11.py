"""An upper limit for Trio with h11: its events and nothing else: ``python -m … PORT``."""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

import h11
import trio

from . import content


async def accept(port: int) -> NoReturn:
    listening = socket.create_server(("127.0.0.1", port), backlog=4096)
    listening.setblocking(False)  # noqa: FBT003 - the library's own signature
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                for _ in range(64):
                    connected, _ = listening.accept()
                    connected.setblocking(False)  # noqa: FBT003 - as above
                    nursery.start_soon(serve, connected)
            except BlockingIOError:
                pass


async def serve(connected: socket.socket) -> None:
    connection = h11.Connection(h11.SERVER)
    with connected:
        try:
            while await answer(connection, connected):
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):  # the load ends during a request
            return


async def answer(connection: h11.Connection, connected: socket.socket) -> bool:
    """Respond to the next request; return whether there may be another."""
    request = await receive(connection, connected)
    if not isinstance(request, h11.Request):
        return False
    pieces = []
    while isinstance(event := await receive(connection, connected), h11.Data):
        pieces.append(event.data)
    if request.target == b"/stream":
        await stream(connection, connected)
    elif request.method == b"POST":
        await respond(connection, connected, content.STREAM_TYPE, b"".join(pieces))
    else:
        await respond(connection, connected, content.TEXT_TYPE, content.TEXT.encode())
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def receive(connection: h11.Connection, connected: socket.socket) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        await trio.lowlevel.wait_readable(connected)
        connection.receive_data(connected.recv(65536))
    return event


async def respond(
    connection: h11.Connection, connected: socket.socket, media_type: str, body: bytes
) -> None:
    headers = [("Content-Type", media_type), ("Content-Length", str(len(body)))]
    head = connection.send(h11.Response(status_code=200, reason="OK", headers=headers)) or b""
    data = connection.send(h11.Data(data=body)) or b""
    await send(connected, head + data + (connection.send(h11.EndOfMessage()) or b""))


async def stream(connection: h11.Connection, connected: socket.socket) -> None:
    headers = [("Content-Type", content.STREAM_TYPE)]
    head = h11.Response(status_code=200, reason="OK", headers=headers)
    await send(connected, connection.send(head) or b"")
    for _ in range(content.PIECES):
        await send(connected, connection.send(h11.Data(data=content.PIECE)) or b"")
    await send(connected, connection.send(h11.EndOfMessage()) or b"")


async def send(connected: socket.socket, data: bytes) -> None:
    while data:
        try:
            data = data[connected.send(data) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(connected)


if __name__ == "__main__":
    trio.run(accept, int(sys.argv[1]))
