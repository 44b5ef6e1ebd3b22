"""Normal forms of paths, shared by routes, mounts and files.

RFC 3986 6.2.2 and RFC 9110 4.2.3 define which spellings of a path are equivalent. A rule that
holds for only one of them is no protection, so a path is normalized once, before anything looks
at it.

Empty segments are kept: ``/a//b`` and ``/a/b`` are two paths by RFC 3986 3.3, and an app may
give a meaning to each (``/archive/http://example.org/``). An empty segment is not a name, so no
file in a directory can be reached through one.
"""

from __future__ import annotations

import re

# RFC 3986 2.3.
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# RFC 3986 3.3: the reserved characters that may occur in a segment without separating anything.
_DATA = "!$&'()*+,;=:@"

# RFC 3986 3.2: an authority ends at a slash or a question mark.
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*://[^/?]*(.*)")

_HEX = "0123456789ABCDEFabcdef"


def _spellings(decoded: frozenset[str]) -> dict[str, str]:
    """Map the 484 spellings of two hex digits to the normal spelling of their character."""
    pairs = [high + low for high in _HEX for low in _HEX]
    return {
        digits: character
        if (character := chr(int(digits, 16))) in decoded
        else f"%{digits.upper()}"
        for digits in pairs
    }


_NORMAL = _spellings(_UNRESERVED)
_LITERAL = _spellings(_UNRESERVED | frozenset(_DATA))

# Characters that may arrive unescaped, but that ``literal_path`` escapes.
_ESCAPED = {
    code: f"%{code:02X}"
    for code in range(0x21, 0x7F)
    if chr(code) not in _UNRESERVED and chr(code) not in f"/%{_DATA}"
}


def _respelled(path: str, spellings: dict[str, str]) -> str:
    """Replace all escapes; malformed escapes are left unchanged.

    Looking up the digits after each percent sign takes 80 ns, a regular expression with a
    function 120.
    """
    first, *others = path.split("%")
    pieces = [spellings.get(piece[:2], f"%{piece[:2]}") + piece[2:] for piece in others]
    return first + "".join(pieces)


def origin_form(target: str) -> str:
    """Return an absolute-form target without its scheme and authority (RFC 9112 3.2.2).

    Targets in other forms are returned unchanged.
    """
    match = None if target.startswith("/") else _ABSOLUTE.fullmatch(target)
    if match is None:
        return target
    return match[1] if match[1].startswith("/") else f"/{match[1]}"


def path_of(target: str) -> str:
    """Return the path of a request target, in its normal form."""
    return normal_path(origin_form(target).partition("?")[0])


def normal_path(path: str) -> str:
    """Return the normal form of a path that begins with a slash (RFC 3986 6.2.2).

    Escapes of unreserved characters are decoded, the hex digits of all others become upper
    case, and dot segments are removed, never beyond the root. An escaped slash stays escaped:
    it is part of a name and separates nothing.
    """
    if "%" in path:
        path = _respelled(path, _NORMAL)
    return _without_dot_segments(path) if "/." in path else path


def _without_dot_segments(path: str) -> str:
    """Remove ``.`` and ``..`` (RFC 3986 5.2.4); at the end they leave a final slash."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


# RFC 3986 does not say whether ``!`` and ``%21`` are equivalent: a server may give reserved
# characters a meaning. Characters that a URI must not contain, such as a quotation mark, are
# sent by some clients anyway. In file names, neither makes a difference.

_ONE_SPELLING = re.compile(r"[A-Za-z0-9\-._~/]*")


def has_one_spelling(path: str) -> bool:
    """Return whether a normal path consists only of slashes and unreserved characters."""
    return _ONE_SPELLING.fullmatch(path) is not None


def literal_path(path: str) -> str:
    """Return the common spelling of all paths whose decoded segments are equal.

    Two normal paths that differ only in escapes of characters that separate nothing, such as
    ``/a!`` and ``/a%21``, lead to the same file. Routes are therefore compared in this form.
    """
    if has_one_spelling(path):
        return path
    return _respelled(path.translate(_ESCAPED), _LITERAL)
