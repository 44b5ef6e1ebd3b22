"""The plain exchange: what almost every request is, read and answered without h11.

A request without a body, with one ``Host`` and no field that touches the
framing or the connection, is recognised whole by one expression, in a hundredth
of the time that h11 takes; an answer of known length has a head that one join
writes. This is no second authority: what is recognised here is a subset of what
``strict`` and h11 accept, they read it alike, and the heads written here are
theirs byte for byte. The tests prove that; ``Limits.plain`` turns it off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from trio_http.semantics.errors import reason_of
from trio_http.semantics.limits import Limits

# Fields that need more thought than being passed on. Whatever begins like one
# of them is left to h11: what is not plain costs time, and nothing else.
_SPECIAL = (
    rb"content-|transfer-encoding:|connection:|expect:|upgrade:|host:|te:|trailer|"
    rb"proxy-|http2-|keep-alive:"
)

# Up to 65499; the few above that are left to h11, too.
_PORT = rb"(?:[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|[0-9]{1,4})"

_HOST = rb"(?i:host): ?(?:[A-Za-z0-9\-._]++|\[[0-9A-Fa-f:.]++\])(?::%b)?+\r\n" % _PORT

# Of what a request may say of the connection, only the two usual words are plain.
_OTHERS = (
    rb"(?:(?:(?!(?i:%b))[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+"
    rb"|(?i:connection): ?(?:keep-alive|(close)))\r\n)*+" % _SPECIAL
)

# Possessive quantifiers, and one way only to read each byte: there is nothing
# to go back to, so no head takes longer than its length.
_HEAD = re.compile(
    rb"(GET|HEAD|DELETE|OPTIONS) (/(?:[!-\"$&-~]|%%[0-9A-Fa-f]{2})*+) HTTP/1\.1\r\n"
    rb"(%b%b%b)\r\n" % (_OTHERS, _HOST, _OTHERS)
)

_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")


# Not frozen, because that would cost more than finding it.
@dataclass(slots=True)
class PlainRequest:
    """A plain request's parts: ``fields`` as they were sent, ``closes`` if it is to be the last."""

    method: bytes
    target: bytes
    fields: bytes
    closes: bool
    http_version: ClassVar = b"1.1"


def recognise(head: bytes, limits: Limits) -> PlainRequest | None:
    """The request that a complete head is, if it is a plain one."""
    match = _HEAD.fullmatch(head)
    if match is None:
        return None
    method, target, fields, *closes = match.groups()
    if len(target) > limits.target or fields.count(b"\n") > limits.fields:
        return None
    return PlainRequest(method, target, fields, any(closes))


@lru_cache(maxsize=1024)
def head_of(status: int, fields: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """The head of a response whose framing its fields tell, or None where h11 has a say in it.

    Most responses of a server are alike in all but their bodies, so what was
    written once is kept.
    """
    names = [name.lower() for name, _ in fields]
    if not 200 <= status <= 999 or b"transfer-encoding" in names or b"host" in names:
        return None
    if b"connection" in names and (
        names.count(b"connection") > 1 or fields[-1] != (b"Connection", b"close")
    ):
        return None
    lengths = [
        value for name, value in zip(names, fields, strict=True) if name == b"content-length"
    ]
    if len(lengths) != (0 if status in {204, 304} else 1):
        return None
    if any(not _LENGTH.fullmatch(value) for _, value in lengths):
        return None
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason_of(status).encode(), lines)


def is_last(head: bytes) -> bool:
    """Whether a response with this head says that it is the last on its connection."""
    return head.endswith(b"\r\nConnection: close\r\n\r\n")
