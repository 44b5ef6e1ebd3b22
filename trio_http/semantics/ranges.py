"""Byte ranges, and the parts of a body that they select (RFC 9110 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter

from trio_http.semantics.bodies import Body, Chain, FileSlice, length_of
from trio_http.semantics.field_values import MOST_SEPARATORS, list_of
from trio_http.semantics.headers import bytes_of

# No viewer or download manager needs more parts; a client that asks for more only causes work.
# RFC 9110 14.2 allows ignoring such a request, and 17.15 warns of it.
MOST_PARTS = 32

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """The bytes from ``start`` up to, but not including, ``stop``."""

    start: int
    stop: int

    def content_range(self, length: int) -> str:
        """Return ``Content-Range`` for this part of a body of ``length`` bytes (RFC 9110 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{length}"


def parse_ranges(value: str, length: int) -> list[ByteRange] | None:
    """Return the ranges that a ``Range`` field requests from a body of ``length`` bytes.

    They are in the requested order; ranges that overlap or touch are joined. The list is empty
    if no range can be satisfied.

    Returns None if the field must be ignored, because of another unit, a malformed set, too
    many parts, or an empty body.
    """
    unit, _, specs = value.partition("=")
    if unit.strip(" \t").lower() != "bytes" or specs.count(",") > MOST_SEPARATORS:
        return None
    members = list_of(specs)
    if not members or len(members) > MOST_PARTS:
        return None
    ranges = []
    for member in members:
        match = _SPEC.fullmatch(member)
        if match is None or member == "-":
            return None
        first, last = match.groups()
        if not first:  # a suffix: ``last`` bytes from the end
            start, stop = max(0, length - _number(last)), length
        elif not last:
            start, stop = _number(first), length
        elif _is_less(last, first):
            return None
        else:
            start, stop = _number(first), min(_number(last) + 1, length)
        if start < stop:
            ranges.append(ByteRange(start, stop))
    # RFC 9110 14.2 allows ignoring the field if the body is empty. A suffix range would select
    # all of an empty body, which Content-Range cannot express, and a player that always asks
    # for bytes=0- should get the empty file, not an error.
    return joined(ranges) if length else None


def _number(digits: str) -> int:
    # No file has 10**19 bytes, and Python refuses to read numbers of thousands of digits.
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) < 20 else 10**19


def _is_less(one: str, other: str) -> bool:
    # Python refuses to read numbers of more than 4300 digits.
    one, other = one.lstrip("0"), other.lstrip("0")
    return (len(one), one) < (len(other), other)


def joined(ranges: list[ByteRange]) -> list[ByteRange]:
    """Return the same bytes in the fewest possible ranges, in the same order (RFC 9110 15.3.7.2).

    A joined range takes the position of its first member.
    """
    result: list[tuple[int, ByteRange]] = []
    for place, part in sorted(enumerate(ranges), key=itemgetter(1)):
        if result and part.start <= result[-1][1].stop:
            before, whole = result[-1]
            whole = ByteRange(whole.start, max(whole.stop, part.stop))
            result[-1] = (min(before, place), whole)
        else:
            result.append((place, part))
    return [part for _, part in sorted(result)]


def can_be_cut(body: Body) -> bool:
    """Return whether a part of a body is available without producing all of it."""
    match body:
        case bytes() | FileSlice():
            return True
        case Chain():
            return all(map(can_be_cut, body.parts))
        case _:
            return False


def cut(body: Body, part: ByteRange) -> Body:
    """Return a part of a body that ``can_be_cut``; the part must lie within it."""
    match body:
        case bytes():
            return body[part.start : part.stop]
        case FileSlice():
            return FileSlice(body.descriptor, body.offset + part.start, part.stop - part.start)
        case Chain() if can_be_cut(body):
            return _cut_chain(body, part)
        case _:
            raise TypeError(f"cannot be cut: {body!r}")


def _cut_chain(chain: Chain, part: ByteRange) -> Body:
    parts = []
    position = 0
    for body in chain.parts:
        length = length_of(body) or 0
        start, stop = max(0, part.start - position), min(length, part.stop - position)
        if start < stop:
            parts.append(cut(body, ByteRange(start, stop)))
        position += length
    return Chain(tuple(parts))


def multipart(
    body: Body, parts: list[ByteRange], length: int, media_type: str, boundary: str
) -> Body:
    """Return the parts as the body of a ``multipart/byteranges`` message (RFC 9110 14.6).

    The boundary must be random, so that it occurs in no part. If ``media_type`` is empty, the
    parts have no ``Content-Type``.
    """
    pieces: list[Body] = []
    for part in parts:
        head = f"\r\n--{boundary}\r\n"
        if media_type:
            head += f"Content-Type: {media_type}\r\n"
        head += f"Content-Range: {part.content_range(length)}\r\n\r\n"
        # Bytes before the first delimiter are a preamble, so that delimiter has no line break.
        pieces += [bytes_of(head if pieces else head[2:]), cut(body, part)]
    return Chain((*pieces, f"\r\n--{boundary}--\r\n".encode()))
