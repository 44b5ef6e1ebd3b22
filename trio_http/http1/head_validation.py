"""What h11 would let through and we do not, decided on the bytes of a head.

h11 is trusted for framing. These rules refuse, before it sees them, heads that
two readers could understand differently: that is what request smuggling is
made of. All of it is pure: bytes in, an ``HTTPError`` or nothing out.
"""

from __future__ import annotations

import re

from trio_http.http1.field_lines import parse_field
from trio_http.http1.request_framing import check_framing
from trio_http.semantics.authority import Authority
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits
from trio_http.semantics.tokens import TOKEN

BLANK_LINE = b"\r\n\r\n"

# Whatever comes after, no head that has one of these is a head: control
# characters, a bare LF, a CR that no LF follows (RFC 9112 2.2, RFC 9110 5.5).
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])" % TOKEN)

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


# Clients send two or three options. h11 splits these lists, some of them several times,
# so their length is checked before h11 sees them.
MOST_OPTIONS = 100  # commas in all lines of one of these fields
_TAKEN_APART = (b"connection", b"expect", b"transfer-encoding", b"upgrade")

# All bytes that a head may contain, except for its line endings (RFC 9110 5.5).
_TEXT = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])


def find_head(received: bytes | bytearray, start: int, limits: Limits) -> int | None:
    """Where the head ends that these bytes begin with, or None while it is not complete.

    ``start`` says how many bytes have been looked at before. Sizes are judged
    by what is sent, however it is cut: 414 where the request line alone is too
    long, 431 where the fields are (RFC 9110 15.5.15, RFC 6585 5).
    """
    end = received.find(BLANK_LINE, max(0, start - 3), limits.head)
    if end >= 0:
        return end + len(BLANK_LINE)
    # There may never be a blank line: somebody who does not speak HTTP, or
    # ends lines with LF alone, should hear of it before the time is up.
    if _NEVER.search(received, max(0, start - 1), limits.head):
        raise _bad("a control character or a bare line ending in the head")
    if len(received) >= limits.head:
        line = received.find(b"\r\n", 0, limits.head)
        check_sizes(limits.head + 1, line if line >= 0 else limits.target + 1, 0, limits)
    return None


def check_sizes(head: int, target: int, fields: int, limits: Limits) -> None:
    """Refuse a head that is larger than the limits, with the status for what is too large.

    Args:
        head: the length of the whole head, in bytes.
        target: the length of the request target, in bytes.
        fields: the number of lines of header fields.

    Raises:
        HTTPError: 414 where the request target is too long (RFC 9110 15.5.15), 431 where the
            fields are, or where there are too many (RFC 6585 5).
    """
    if target > limits.target:
        raise HTTPError(414, "the request target is too long")
    if head > limits.head:
        raise HTTPError(431, f"at most {limits.head} bytes of fields are read")
    if fields > limits.fields:
        raise HTTPError(431, f"at most {limits.fields} fields are read")


def check_head(head: bytes, limits: Limits) -> None:
    """Refuse a complete head that breaks a rule which h11 does not keep."""
    # The same rule as ``_NEVER``, but twenty times as fast.
    if head.translate(None, _TEXT) != b"\r\n" * head.count(b"\r\n"):
        raise _bad("a control character or a bare line ending in the head")
    line, *lines = head[: -len(BLANK_LINE)].split(b"\r\n")
    check_sizes(len(head), 0, len(lines), limits)
    method, target, version = parse_request_line(line, limits)
    fields = [parse_field(line) for line in lines]
    check_host(_values(fields, b"host"), version)
    _check_target(method, target)
    _check_lengths(fields)
    check_framing(
        _values(fields, b"content-length"), _values(fields, b"transfer-encoding"), version
    )
    _check_expectations(_values(fields, b"expect"), version)


def parse_request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, bytes]:
    """Return method, target and version: three parts with a space between each (RFC 9112 3).

    The version is 1.0 or 1.1. Requests of HTTP/1.2 and further are read as those of
    1.1, the highest minor version that there is (RFC 9110 2.5).
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _bad("malformed request line")
    method, target, version = match.groups()
    check_sizes(len(line), len(target), 0, limits)
    return method, target, effective_version(version)


def effective_version(version: bytes) -> bytes:
    """Return the version by whose rules a message is read; 505 where there is none."""
    if not version.startswith(b"1."):
        raise HTTPError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    return b"1.0" if version == b"1.0" else b"1.1"


def _check_target(method: bytes, target: bytes) -> None:
    """One of the four forms, each where it belongs (RFC 9112 3.2)."""
    if method == b"CONNECT":
        # Its target is an authority, and nothing here is a proxy (RFC 9110 9.3.6).
        raise HTTPError(501, "there are no tunnels here")
    if target == b"*":
        if method != b"OPTIONS":
            raise _bad("only OPTIONS can ask for the server as a whole")
        return
    path = target
    if not target.startswith(b"/"):
        match = _ABSOLUTE.fullmatch(target)
        if match is None or not _is_authority(match[1]):
            raise _bad("malformed request target")
        path = match[2] or b"/"
    if b"#" in path:
        raise _bad("a fragment in the request target")
    if _BAD_ESCAPE.search(path.partition(b"?")[0]):
        raise _bad("a malformed escape in the request target")


def authority_of(target: bytes) -> bytes:
    """The authority in a target of absolute form, or none in any other."""
    match = _ABSOLUTE.fullmatch(target)
    return match[1] if match else b""


def check_host(values: list[bytes], version: bytes) -> None:
    """Require exactly one ``Host``, which is an authority or empty (RFC 9112 3.2).

    That holds beside a target of absolute form, too, whose authority counts instead
    (RFC 9112 3.2.2); HTTP/1.0 does not know the field.
    """
    if len(values) > 1 or (not values and version == b"1.1"):
        raise _bad("exactly one Host is needed")
    if any(value and not _is_authority(value) for value in values):
        raise _bad("malformed Host")


def _is_authority(value: bytes) -> bool:
    try:
        Authority.parse(value.decode("latin-1"))
    except ValueError:
        return False
    return True


def _check_lengths(fields: list[tuple[bytes, bytes]]) -> None:
    """Refuse overlong lists in fields that cannot be ignored."""
    for name in _TAKEN_APART:
        if sum(value.count(b",") for value in _values(fields, name)) > MOST_OPTIONS:
            raise _bad(f"too many members in the field {name.decode().title()}")


def _check_expectations(values: list[bytes], version: bytes) -> None:
    """Refuse an expectation other than ``100-continue`` (RFC 9110 10.1.1).

    The field is a list, and an empty one expects nothing (RFC 9110 5.6.1.2). HTTP/1.0
    does not know the field.
    """
    expected = {member.strip(b" \t").lower() for member in b",".join(values).split(b",")}
    if version == b"1.1" and expected - {b"", b"100-continue"}:
        raise HTTPError(417, "only 100-continue can be expected")


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for found, value in fields if found == name]


def _bad(detail: str) -> HTTPError:
    return HTTPError(400, detail)
