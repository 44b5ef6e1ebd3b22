"""What h11 would let through and we do not, decided on the bytes of a head.

h11 is trusted for framing. These rules refuse, before it sees them, heads that
two readers could understand differently: that is what request smuggling is
made of. All of it is pure: bytes in, an ``HTTPError`` or nothing out.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import LENGTH
from trio_http.semantics.limits import Limits
from trio_http.semantics.tokens import TOKEN

BLANK_LINE = b"\r\n\r\n"

# Whatever comes after, no head that has one of these is a head: control
# characters, a bare LF, a CR that no LF follows (RFC 9112 2.2, RFC 9110 5.5).
_NEVER = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")

_REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/([0-9]\.[0-9])" % TOKEN)
# No blank before the colon, none before the name: those who skip it there read
# another name than those who do not (RFC 9112 5.1, 5.2).
_FIELD = re.compile(rb"(%b):[ \t]*([\x21-\x7e\x80-\xff \t]*)" % TOKEN)

# RFC 3986 3.2.2 and 3.2.3, less user information and less the comma, with which a
# list of hosts would look like one host. Brackets hold an IPv6 address. The RFC
# provides for further kinds (IPvFuture) that a server refuses unless it knows them,
# and there is none. Zone identifiers (RFC 6874) mean something on one machine only.
_AUTHORITY = re.compile(
    rb"(?:\[([0-9A-Fa-f:.]{2,45})\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::([0-9]*))?"
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

_LENGTH = re.compile(LENGTH.encode())


# Clients send two or three options. h11 splits these lists, some of them several times,
# so their length is checked before h11 sees them.
MOST_OPTIONS = 100  # commas in all lines of one of these fields
_TAKEN_APART = (b"connection", b"expect", b"transfer-encoding", b"upgrade")

# A name has 255 characters at most (RFC 3986 3.2.2), and a port five.
LONGEST_HOST = 300  # bytes of an authority

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
        if line < 0 or line > limits.target:
            raise _target_too_long()
        raise HTTPError(431, f"at most {limits.head} bytes of fields are read")
    return None


def check_head(head: bytes, limits: Limits) -> None:
    """Refuse a complete head that breaks a rule which h11 does not keep."""
    # The same rule as ``_NEVER``, but twenty times as fast.
    if head.translate(None, _TEXT) != b"\r\n" * head.count(b"\r\n"):
        raise _bad("a control character or a bare line ending in the head")
    line, *lines = head[: -len(BLANK_LINE)].split(b"\r\n")
    if len(lines) > limits.fields:
        raise HTTPError(431, f"at most {limits.fields} fields are read")
    fields = [parse_field(line) for line in lines]
    method, target, version = parse_request_line(line, limits)
    check_host(_values(fields, b"host"), version)
    _check_target(method, target)
    _check_lengths(fields)
    _check_framing(
        _values(fields, b"content-length"), _values(fields, b"transfer-encoding"), version
    )
    _check_expectations(_values(fields, b"expect"), version)


def parse_field(line: bytes) -> tuple[bytes, bytes]:
    """A field line's name, in lower case, and its value (RFC 9112 5)."""
    match = _FIELD.fullmatch(line)
    if match is None:
        raise _bad("malformed field line")
    return match[1].lower(), match[2].rstrip(b" \t")


def parse_request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, bytes]:
    """Return method, target and version: three parts with a space between each (RFC 9112 3).

    The version is 1.0 or 1.1. Requests of HTTP/1.2 and further are read as those of
    1.1, the highest minor version that there is (RFC 9110 2.5).
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise _bad("malformed request line")
    method, target, version = match.groups()
    if len(target) > limits.target:
        raise _target_too_long()
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
    if len(value) > LONGEST_HOST:
        return False
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        return False
    address, port = match.groups()
    if port and (len(port) > 5 or int(port) > 65535):
        return False
    return address is None or _is_ipv6(address)


def _is_ipv6(address: bytes) -> bool:
    """Tell whether the groups make an address, which no short expression can (RFC 3986 3.2.2)."""
    try:
        IPv6Address(address.decode("ascii"))
    except AddressValueError:
        return False
    return True


def _check_lengths(fields: list[tuple[bytes, bytes]]) -> None:
    """Refuse overlong lists in fields that cannot be ignored."""
    for name in _TAKEN_APART:
        if sum(value.count(b",") for value in _values(fields, name)) > MOST_OPTIONS:
            raise _bad(f"too many members in the field {name.decode().title()}")


def _check_framing(lengths: list[bytes], codings: list[bytes], version: bytes) -> None:
    """One way to tell where the body ends, and no other (RFC 9112 6)."""
    if codings and lengths:
        raise _bad("both Transfer-Encoding and Content-Length")
    if len(lengths) > 1 or any(not _LENGTH.fullmatch(length) for length in lengths):
        raise _bad("malformed Content-Length")
    if codings:
        if version == b"1.0":
            raise _bad("Transfer-Encoding is unknown to HTTP/1.0")
        *others, last = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
        if last != b"chunked" or b"chunked" in others:
            raise _bad("the last transfer coding, and only that, has to be chunked")
        if others:
            raise HTTPError(501, "no transfer coding but chunked is known")


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


def _target_too_long() -> HTTPError:
    return HTTPError(414, "the request target is too long")
