"""Checks on the bytes of a request head that are stricter than h11's.

h11 is trusted for framing. These rules first refuse heads that two recipients could understand
differently, on which request smuggling relies. The module is pure: bytes in, an ``HTTPError``
or nothing out.
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

# Bytes that make a head malformed, no matter what follows: control characters, a bare LF,
# and a CR without an LF after it (RFC 9112 2.2, RFC 9110 5.5).
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])" % TOKEN)

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


# Clients send two or three members in these lists. h11 splits the lists, some of them several
# times, so their length is checked before h11 sees them.
MOST_OPTIONS = 100  # commas in all lines of one field
_TAKEN_APART = (b"connection", b"expect", b"transfer-encoding", b"upgrade")

# All bytes that a head may contain apart from its line endings (RFC 9110 5.5).
_TEXT = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])


def find_head(received: bytes | bytearray, start: int, limits: Limits) -> int | None:
    """Return the length of the head at the start of ``received``, or None if it is incomplete.

    The first ``start`` bytes were searched before. The limits do not depend on the pieces in
    which a head arrives: 414 for the request line alone, 431 for the fields (RFC 9110 15.5.15,
    RFC 6585 5).
    """
    end = received.find(BLANK_LINE, max(0, start - 3), limits.head)
    if end >= 0:
        return end + len(BLANK_LINE)
    # A client that does not speak HTTP, or ends lines with a bare LF, may never send a blank
    # line. It is refused now rather than when its time is up.
    if _NEVER.search(received, max(0, start - 1), limits.head):
        raise _bad("the head has a control character or a bare CR or LF")
    if len(received) >= limits.head:
        line = received.find(b"\r\n", 0, limits.head)
        check_sizes(limits.head + 1, line if line >= 0 else limits.target + 1, 0, limits)
    return None


def check_sizes(head: int, target: int, fields: int, limits: Limits) -> None:
    """Refuse a head that is larger than the limits.

    Args:
        head: the length of the whole head, in bytes.
        target: the length of the request target, in bytes.
        fields: the number of field lines.

    Raises:
        HTTPError: 414 if the request target is too long (RFC 9110 15.5.15), 431 if the head
            is too long or has too many fields (RFC 6585 5).
    """
    if target > limits.target:
        raise HTTPError(414, "the request target is too long")
    if head > limits.head:
        raise HTTPError(431, f"the request head is longer than {limits.head} bytes")
    if fields > limits.fields:
        raise HTTPError(431, f"the request has more than {limits.fields} header fields")


def check_head(head: bytes, limits: Limits) -> None:
    """Refuse a complete head that breaks a rule which h11 does not check."""
    # The same rule as ``_NEVER``, twenty times as fast.
    if head.translate(None, _TEXT) != b"\r\n" * head.count(b"\r\n"):
        raise _bad("the head has a control character or a bare CR or LF")
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
    """Return the method, the target and the version of a request line (RFC 9112 3).

    The version is 1.0 or 1.1. A higher minor version is treated as 1.1, the highest that is
    defined (RFC 9110 2.5).
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _bad("malformed request line")
    method, target, version = match.groups()
    check_sizes(len(line), len(target), 0, limits)
    return method, target, effective_version(version)


def effective_version(version: bytes) -> bytes:
    """Return the version whose rules apply to a message; raise 505 for other major versions."""
    if not version.startswith(b"1."):
        raise HTTPError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    return b"1.0" if version == b"1.0" else b"1.1"


def _check_target(method: bytes, target: bytes) -> None:
    """Refuse a target without a form that is valid for the method (RFC 9112 3.2)."""
    if method == b"CONNECT":
        # CONNECT asks a proxy for a tunnel, and this server is no proxy (RFC 9110 9.3.6).
        raise HTTPError(501, "CONNECT is not supported")
    if target == b"*":
        if method != b"OPTIONS":
            raise _bad("the request target * is allowed with OPTIONS only")
        return
    path = target
    if not target.startswith(b"/"):
        match = _ABSOLUTE.fullmatch(target)
        if match is None or not _is_authority(match[1]):
            raise _bad("malformed request target")
        path = match[2] or b"/"
    if b"#" in path:
        raise _bad("the request target has a fragment")
    if _BAD_ESCAPE.search(path.partition(b"?")[0]):
        raise _bad("the request target has a malformed percent escape")


def authority_of(target: bytes) -> bytes:
    """Return the authority of a target in absolute form; empty for the other forms."""
    match = _ABSOLUTE.fullmatch(target)
    return match[1] if match else b""


def check_host(values: list[bytes], version: bytes) -> None:
    """Require exactly one ``Host``, which is an authority or empty (RFC 9112 3.2).

    It is required even if a target in absolute form replaces its value (RFC 9112 3.2.2), but
    not in HTTP/1.0.
    """
    if len(values) > 1 or (not values and version == b"1.1"):
        raise _bad("a request must have exactly one Host field")
    if any(value and not _is_authority(value) for value in values):
        raise _bad("malformed Host")


def _is_authority(value: bytes) -> bool:
    try:
        Authority.parse(value.decode("latin-1"))
    except ValueError:
        return False
    return True


def _check_lengths(fields: list[tuple[bytes, bytes]]) -> None:
    """Refuse overlong lists in fields that h11 splits."""
    for name in _TAKEN_APART:
        if sum(value.count(b",") for value in _values(fields, name)) > MOST_OPTIONS:
            raise _bad(f"{name.decode().title()} has too many members")


def _check_expectations(values: list[bytes], version: bytes) -> None:
    """Refuse an expectation other than ``100-continue`` (RFC 9110 10.1.1).

    The field is a list, and an empty list expects nothing (RFC 9110 5.6.1.2). HTTP/1.0
    ignores the field.
    """
    expected = {member.strip(b" \t").lower() for member in b",".join(values).split(b",")}
    if version == b"1.1" and expected - {b"", b"100-continue"}:
        raise HTTPError(417, "Expect supports 100-continue only")


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for found, value in fields if found == name]


def _bad(detail: str) -> HTTPError:
    return HTTPError(400, detail)
