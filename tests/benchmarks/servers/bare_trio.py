"""An upper limit for Trio: sockets, no parsing, one fixed response: ``python -m … PORT``.

Everything up to an empty line is a request without a body.
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

import trio

from . import content

HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {content.TEXT_TYPE}\r\n"
REST = f"Content-Length: {len(content.TEXT)}\r\n\r\n{content.TEXT}"
ANSWER = (HEAD + REST).encode()
LAST_ANSWER = (f"{HEAD}Connection: close\r\n{REST}").encode()


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
                    nursery.start_soon(answer, connected)
            except BlockingIOError:
                pass


async def answer(connected: socket.socket) -> None:
    with connected:
        while True:
            await trio.lowlevel.wait_readable(connected)
            try:
                data = new = connected.recv(65536)
                while new and not data.endswith(b"\r\n\r\n"):
                    await trio.lowlevel.wait_readable(connected)
                    new = connected.recv(65536)
                    data += new
                if not new:
                    return
                if b"Connection: close" in data:
                    connected.send(LAST_ANSWER)
                    return
                connected.send(ANSWER * data.count(b"\r\n\r\n"))
            except ConnectionError:
                return


if __name__ == "__main__":
    trio.run(accept, int(sys.argv[1]))
