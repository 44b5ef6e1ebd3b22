"""Checks the responses of a server before it is timed."""

from __future__ import annotations

import gzip
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import h11

from .asks import Ask, Expected, noise
from .cases import Load
from .servers import content

# Seconds that the slowest server may take for a response.
PATIENCE = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as received; field names in lower case, the body with its coding."""

    status: int
    fields: dict[str, str]
    body: bytes


def ask_once(port: int, ask: Ask, times: int = 1) -> list[Answer]:
    """Return the responses to requests that are sent at once on one connection.

    Raises:
        OSError: the server does not respond.
        h11.RemoteProtocolError: a response is malformed.
    """
    request = ask.head(f"127.0.0.1:{port}") + noise(ask.size)
    address = ("127.0.0.1", port)
    with closing(socket.create_connection(address, timeout=PATIENCE)) as connected:
        connected.sendall(request * times)
        connection = h11.Connection(h11.CLIENT)
        answers = []
        for number in range(times):
            if number:
                connection.start_next_cycle()
            answers.append(_next_answer(connection, connected, ask))
        return answers


def _next_answer(connection: h11.Connection, connected: socket.socket, ask: Ask) -> Answer:
    # The bytes have been sent already; this tells h11 as much as it needs to read the response.
    connection.send(h11.Request(method=ask.method, target=ask.path, headers=[("Host", "-")]))
    connection.send(h11.EndOfMessage())
    status, fields, body = 0, dict[str, str](), bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(connected.recv(65536))
            case h11.Response() as head:
                status = head.status_code
                fields = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            case h11.Data() as data:
                body += data.data
            case h11.EndOfMessage():
                return Answer(status, fields, bytes(body))


def complaint(answer: Answer, expected: Expected, directory: Path) -> str | None:
    """Return the fault of a response, or None if it has none."""
    if answer.status not in expected.statuses:
        return f"responded with {answer.status}"
    media_type = answer.fields.get("content-type", "")
    if expected.media_type not in {None, media_type.partition(";")[0]}:
        return f"sent the type {media_type!r}"
    for name, value in expected.fields:
        if value not in answer.fields.get(name.lower(), ""):
            return f"sent no {name}: {value}"
    return None if expected.media_type is None else _wrong_body(answer, expected, directory)


def _wrong_body(answer: Answer, expected: Expected, directory: Path) -> str | None:
    body = answer.body
    if answer.fields.get("content-encoding") == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError):
            return "sent invalid gzip"
    wanted = expected.body
    if expected.document is not None:
        wanted = (directory / content.FILES / expected.document).read_bytes()
    return None if body == wanted else f"sent another body, of {len(body)} bytes"


def checked(port: int, load: Load, directory: Path) -> str | None:
    """Return why a server cannot be timed at a load, or None if its responses are correct."""
    try:
        answers = ask_once(port, load.ask, load.pipelined)
    except (OSError, h11.RemoteProtocolError) as error:
        return f"did not respond: {error}"
    for answer in answers:
        if (wrong := complaint(answer, load.expected, directory)) is not None:
            return wrong
    if load.ask.method == "PUT":
        stored = directory / load.ask.path.lstrip("/")
        if not stored.is_file() or stored.read_bytes() != noise(load.ask.size):
            return "stored something else"
    return None
