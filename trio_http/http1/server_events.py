"""The events of a server: plain values, which it passes to one function."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from trio_http.semantics.request import Request


class Ending(Enum):
    """How an exchange ended."""

    COMPLETE = "complete"
    DISCONNECTED = "the client went away"
    ABORTED = "it failed after its head had left"
    CANCELLED = "it was cancelled"


@dataclass(frozen=True, slots=True)
class Connected:
    """A client has connected.

    Attributes:
        client: the address of the other end, such as ``127.0.0.1:47920``, which may be a
            proxy; ``local`` for a connection without addresses.
    """

    client: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection has ended, by either side.

    Attributes:
        client: the address of the other end, as in ``Connected``.
    """

    client: str


# Not frozen, as Response is not, because one is made per exchange.
@dataclass(slots=True)
class Record:
    """An exchange has ended.

    Attributes:
        client: the address of the other end, as in ``Connected``.
        line: the request line as it was received, or the part of it that was. A client has
            written it: escape it before it goes to a terminal or a log.
        request: the request, or None if its head was refused.
        status: the status code of the response, or 0 if no head was sent.
        sent: bytes of the response body that were passed to the client's stream, without
            framing. Of a download that breaks off, those that were passed before.
        seconds: the time from the complete head of the request to the end of the exchange.
        ending: how the exchange ended.
    """

    client: str
    line: bytes
    request: Request | None
    status: int
    sent: int
    seconds: float
    ending: Ending


@dataclass(frozen=True, slots=True)
class Failure:
    """An app has raised an exception other than ``HTTPError``.

    The client has received a 500 without details, or, if the head of the response had been
    sent before, the end of the connection.

    Attributes:
        client: the address of the other end, as in ``Connected``.
        line: the request line, as in ``Record``.
        error: the exception, with its traceback.
    """

    client: str
    line: bytes
    error: BaseException


@dataclass(frozen=True, slots=True)
class Crowded:
    """A client has to wait, because there are as many connections as there may be.

    Idle connections are closed for it. The event comes once a minute while clients wait.

    Attributes:
        connections: the limit, ``Limits.connections``.
    """

    connections: float


@dataclass(frozen=True, slots=True)
class NotAccepting:
    """Clients have to wait, because accepting them fails, as without descriptors or memory.

    Idle connections are closed for them. The event comes once a minute while that lasts.

    Attributes:
        error: the exception of the operating system.
    """

    error: Exception


ServerEvent: TypeAlias = Connected | Disconnected | Record | Failure | Crowded | NotAccepting
"""Whatever a server reports. New kinds may join, so a ``match`` needs a ``case _``."""

Report: TypeAlias = Callable[[ServerEvent], None]
"""Receives each event, in the task of a connection or a listener: it must not block or raise."""


# Almost all events. They are reported only to a function that the user has passed.
_ORDINARY = (Record, Connected, Disconnected)


def report_failures(event: ServerEvent) -> None:
    """Log failures and shortages with the logger ``trio_http``, as ``serve`` does by default."""
    if isinstance(event, _ORDINARY):
        return
    log = logging.getLogger("trio_http")
    match event:
        case Failure():
            line = event.line.decode("latin-1")
            log.error("%s %r failed", event.client, line, exc_info=event.error)
        case Crowded():
            log.warning("all %s connections are taken", event.connections)
        case _:
            log.warning("clients cannot be accepted: %s", event.error)
