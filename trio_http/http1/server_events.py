"""The events of a server: plain values that it passes to its ``report`` function."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from trio_http.semantics.request import Request


class Ending(Enum):
    """The ways an exchange can end."""

    COMPLETE = "complete"
    DISCONNECTED = "the client went away"
    ABORTED = "failed after the head of the response was sent"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Connected:
    """A client has connected.

    Attributes:
        client: the address of the peer, such as ``127.0.0.1:47920``; the peer may be a
            proxy. ``local`` for a connection without addresses.
    """

    client: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection was closed by either side.

    Attributes:
        client: the address of the peer, as in ``Connected``.
    """

    client: str


# One is made per exchange. It is not frozen, because freezing makes ``__init__`` slower.
@dataclass(slots=True)
class Record:
    """An exchange has ended.

    Attributes:
        client: the address of the peer, as in ``Connected``.
        line: the request line, or the part of it that was received. It is the client's
            text: escape it before writing it to a terminal or a log.
        request: the request, or None if its head was refused.
        status: the status code of the response, or 0 if no head was sent.
        sent: bytes of the response body that were passed to the client's stream, without
            framing. After an aborted download, those passed until then.
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

    The client gets a 500 without details. If the head of the response was already sent, the
    connection is closed instead.

    Attributes:
        client: the address of the peer, as in ``Connected``.
        line: the request line, as in ``Record``.
        error: the exception, with its traceback.
    """

    client: str
    line: bytes
    error: BaseException


@dataclass(frozen=True, slots=True)
class Crowded:
    """A client has to wait, because the server has reached its limit of connections.

    Idle connections are closed to make room. The event repeats every minute while clients wait.

    Attributes:
        connections: the limit, ``Limits.connections``.
    """

    connections: float


@dataclass(frozen=True, slots=True)
class NotAccepting:
    """Clients have to wait, because accepting fails, usually for lack of descriptors or memory.

    Idle connections are closed to make room. The event repeats every minute while that lasts.

    Attributes:
        error: the exception of the operating system.
    """

    error: Exception


ServerEvent: TypeAlias = Connected | Disconnected | Record | Failure | Crowded | NotAccepting
"""Any event of a server. Kinds may be added, so a ``match`` needs a ``case _``."""

Report: TypeAlias = Callable[[ServerEvent], None]
"""Takes each event, in the task of a connection or a listener: it must not block or raise."""


# Almost all events are of these kinds, and the default report ignores them.
_ORDINARY = (Record, Connected, Disconnected)


def report_failures(event: ServerEvent) -> None:
    """Log failures and shortages to the logger ``trio_http``; the default report of ``serve``."""
    if isinstance(event, _ORDINARY):
        return
    log = logging.getLogger("trio_http")
    match event:
        case Failure():
            line = event.line.decode("latin-1")
            log.error("%s %r failed", event.client, line, exc_info=event.error)
        case Crowded():
            log.warning("all %s connections are in use", event.connections)
        case _:
            log.warning("cannot accept connections: %s", event.error)
