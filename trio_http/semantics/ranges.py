"""Byte ranges: what a client asks for, and the parts of a body it gets (RFC 9110 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter

from trio_http.semantics.bodies import Body, Chain, FileSlice, length_of
from trio_http.semantics.field_values import MOST_SEPARATORS, list_of
from trio_http.semantics.headers import bytes_of

# Who asks for more parts than any viewer or download manager needs wants to
# make work (RFC 9110 14.2 lets us ignore that, and 17.15 warns of it).
MOST_PARTS = 32

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes from ``start`` up to, and without, ``stop``."""

    start: int
    stop: int

    def content_range(self, length: int) -> str:
        """The value of ``Content-Range`` for this part of so many bytes (RFC 9110 14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{length}"


def parse_ranges(value: str, length: int) -> list[ByteRange] | None:
    """The ranges that a ``Range`` field asks for, of so many bytes.

    None where the field is to be ignored: another unit, a malformed set, too
    many parts, or nothing to take them from. An empty list where none of it can
    be satisfied. Ranges that overlap or touch are joined; all are in the order
    in which they were asked for.
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
        if not first:  # a suffix: the last so many bytes
            start, stop = max(0, length - _number(last)), length
        elif not last:
            start, stop = _number(first), length
        elif _is_less(last, first):
            return None
        else:
            start, stop = _number(first), min(_number(last) + 1, length)
        if start < stop:
            ranges.append(ByteRange(start, stop))
    # RFC 9110 14.2 lets us ignore the field where there is no content. A suffix
    # of nothing is all of it, which Content-Range cannot say, and a player that
    # always asks for bytes=0- should get the empty file, not an error.
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
    """The same bytes in as few ranges as there can be, in the same order (RFC 9110 15.3.7.2).

    What has been joined stands where the first of its ranges stood.
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
    """Whether parts of a body can be had without making all of it."""
    match body:
        case bytes() | FileSlice():
            return True
        case Chain():
            return all(map(can_be_cut, body.parts))
        case _:
            return False


def cut(body: Body, part: ByteRange) -> Body:
    """A part of a body that can be cut; the part lies within it."""
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
    """The parts as the body of a ``multipart/byteranges`` message (RFC 9110 14.6).

    The boundary, which must not occur in any part, has to be a random one.
    Parts of a representation without a media type have none either.
    """
    pieces: list[Body] = []
    for part in parts:
        head = f"\r\n--{boundary}\r\n"
        if media_type:
            head += f"Content-Type: {media_type}\r\n"
        head += f"Content-Range: {part.content_range(length)}\r\n\r\n"
        # What precedes the first delimiter is a preamble, so that has no line break.
        pieces += [bytes_of(head if pieces else head[2:]), cut(body, part)]
    return Chain((*pieces, f"\r\n--{boundary}--\r\n".encode()))
