"""What a connection tells whoever watches the server: plain values, one function to take them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from trio_http.semantics.messages import Request


class Ending(Enum):
    """How an exchange came to its end."""

    COMPLETE = "complete"
    DISCONNECTED = "the client went away"
    ABORTED = "it failed after its head had left"
    CANCELLED = "it was cancelled"


@dataclass(frozen=True, slots=True)
class Connected:
    """A client has connected."""

    client: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection has ended, by whichever side."""

    client: str


# Not frozen, as Response is not: one is made per exchange.
@dataclass(slots=True)
class Record:
    """One exchange, told when it is over; ``request`` is None for a head that was refused.

    ``line`` is the request line as it arrived, or as much as there is of it;
    ``status`` is 0 where no head has left. ``sent`` counts the body's bytes that
    were handed to the client's stream, less framing: of a download that breaks off,
    what had left by then. ``seconds`` run from the complete head to the end.
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
    """An exception that no handler caught; its client has heard nothing of it but 500."""

    client: str
    line: bytes
    error: BaseException


@dataclass(frozen=True, slots=True)
class Crowded:
    """A client waits because all ``connections`` that there may be are taken.

    Idle ones are closed for it. Told once a minute while clients have to wait.
    """

    connections: float


@dataclass(frozen=True, slots=True)
class NotAccepting:
    """Clients wait because none can be accepted, as for lack of descriptors or memory.

    Idle connections are closed for them. Told once a minute while that lasts.
    """

    error: Exception


ServerEvent: TypeAlias = Connected | Disconnected | Record | Failure | Crowded | NotAccepting
Report: TypeAlias = Callable[[ServerEvent], None]
"""Is called in the task of a connection or a listener, so it must neither block nor raise."""


# As good as all that there is to tell; nobody wants to hear of it unless asked.
_ORDINARY = (Record, Connected, Disconnected)


def report_failures(event: ServerEvent) -> None:
    """What ``serve`` does unless told otherwise: log failures and lacks as ``trio_http``."""
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
