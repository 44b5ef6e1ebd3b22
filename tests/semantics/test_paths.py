"""Tests of the normal form of paths, compared with the RFC's own algorithm."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.paths import (
    has_one_spelling,
    literal_path,
    normal_path,
    origin_form,
    path_of,
)

# The normal form


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/site/private/x.txt", "/site/private/x.txt"),
        # RFC 3986 6.2.2.2: escapes of unreserved characters.
        ("/%7Ebob", "/~bob"),
        ("/%7ebob", "/~bob"),
        ("/site/%70rivate/x.txt", "/site/private/x.txt"),
        ("/%66iles/a%2Etxt", "/files/a.txt"),
        ("/%30%2d%5F", "/0-_"),
        # 6.2.2.1: the digits of all other escapes.
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%c3%A9", "/%C3%A9"),
        # Reserved characters, and those that a URI must not contain, stay unchanged.
        ("/a%2fb", "/a%2Fb"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%21!%3b;", "/a%21!%3B;"),
        ("/a;b=1,2/c@d:e", "/a;b=1,2/c@d:e"),
        ("/a+b%2b", "/a+b%2B"),
        ('/a"b\\c%5c|', '/a"b\\c%5C|'),
        ("/%00%0a%20", "/%00%0A%20"),
        # An escaped percent sign stays one, whatever follows.
        ("/%2541", "/%2541"),
        ("/%252e%252E/", "/%252e%252E/"),
        ("/%25%34%31", "/%2541"),
        # Malformed escapes are rejected earlier, and stay unchanged.
        ("/%zz%4", "/%zz%4"),
        ("/100%", "/100%"),
        # 5.2.4: dot segments in any spelling.
        ("/deb/./pkg.deb", "/deb/pkg.deb"),
        ("/site/x/../private/x", "/site/private/x"),
        ("/site/%2e%2e/site/private/..", "/site/"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/a/%2e/b/%2E%2e/c/.%2e", "/a/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a/../../../b", "/b"),
        # Names that only begin like a dot segment.
        ("/.well-known/...", "/.well-known/..."),
        ("/..a/.b/a../b.", "/..a/.b/a../b."),
        ("/..;/a", "/..;/a"),  # a dot segment to Java servers
        ("/..%2fa/..%5Ca", "/..%2Fa/..%5Ca"),
        ("/..%00/a", "/..%00/a"),
        # Empty segments are segments.
        ("//", "//"),
        ("//a///b/", "//a///b/"),
        ("/a//../b", "/a/b"),
        ("/a/..//b", "//b"),
        ("//..", "/"),
        ("/a//.", "/a//"),
    ],
)
def test_paths_are_normalized(path: str, expected: str) -> None:
    assert normal_path(path) == expected


def remove_dot_segments(path: str) -> str:
    """Remove dot segments exactly as in RFC 3986 5.2.4."""
    output = ""
    while path:
        if path.startswith("../"):
            path = path[3:]
        elif path.startswith(("./", "/./")):
            path = path[2:]
        elif path == "/.":
            path = "/"
        elif path.startswith("/../"):
            path, output = path[3:], output.rpartition("/")[0]
        elif path == "/..":
            path, output = "/", output.rpartition("/")[0]
        elif path in {".", ".."}:
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            path, output = path[end:], output + path[:end]
    return output


def decode_unreserved(path: str) -> str:
    """Normalize escapes as in RFC 3986 6.2.2.1 and 6.2.2.2."""

    def decode(escape: re.Match[str]) -> str:
        character = chr(int(escape[1], 16))
        is_unreserved = character.isascii() and (character.isalnum() or character in "-._~")
        return character if is_unreserved else escape[0].upper()

    return re.sub("%([0-9A-Fa-f]{2})", decode, path)


# Paths made of slashes, dots, escapes of them, and all other bytes.
pieces = st.sampled_from(["/", "/", "/", ".", "..", "%2e", "%2E", "%2f", "%25", "a", "~", ";"])
escapes = st.builds(
    lambda code, lower: f"%{code:02x}" if lower else f"%{code:02X}",
    st.integers(0, 255),
    st.booleans(),
)
characters = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="%?#")
paths = st.lists(pieces | escapes | characters, max_size=16).map(lambda parts: "/" + "".join(parts))


@settings(deadline=None)
@given(paths)
def test_normal_path_matches_the_algorithm_of_the_rfc(path: str) -> None:
    assert normal_path(path) == remove_dot_segments(decode_unreserved(path))


@settings(deadline=None)
@given(paths)
def test_normal_path_is_idempotent(path: str) -> None:
    normal = normal_path(path)
    assert normal_path(normal) == normal
    assert normal.startswith("/")
    assert not {".", ".."} & {
        unquote_to_bytes(name).decode("latin-1") for name in normal.split("/")
    }


# Targets


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a", "/a"),
        ("/a?b=http://c/d", "/a?b=http://c/d"),
        ("http://here/a?b", "/a?b"),
        ("HTTP://here:4221", "/"),
        ("http://here?a", "/?a"),
        ("coap+tcp://here/", "/"),
        ("*", "*"),
        ("here:443", "here:443"),
    ],
)
def test_origin_form_drops_scheme_and_authority(target: str, expected: str) -> None:
    assert origin_form(target) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/%61/./b?/../c", "/a/b"),  # a query is not a path
        ("http://here/x/../%61/?b", "/a/"),
        ("http://here/..", "/"),
        ("http://here", "/"),
        ("*", "*"),
    ],
)
def test_path_of_returns_the_normal_path(target: str, expected: str) -> None:
    assert path_of(target) == expected


# The one spelling


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a/~b.c/", "/a/~b.c/"),
        ("/a%21!%27'%2A*", "/a!!''**"),
        ("/a%3B;%40@%3A:", "/a;;@@::"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ('/a"b%22', "/a%22b%22"),
        ("/\\%5C|%7C{%7B", "/%5C%5C%7C%7C%7B%7B"),
        # Characters that separate segments, begin a query or an escape, or are control
        # characters have one spelling anyway.
        ("/a%2Fb%3F%23%25%00", "/a%2Fb%3F%23%25%00"),
        ("/%2521", "/%2521"),
        ("*", "*"),
    ],
)
def test_literal_path_returns_the_common_spelling(path: str, expected: str) -> None:
    assert literal_path(path) == expected


def segments_of(path: str) -> list[bytes]:
    return [unquote_to_bytes(segment) for segment in path.split("/")]


@settings(deadline=None)
@given(paths, paths)
def test_literal_paths_are_equal_if_the_segments_are(one: str, other: str) -> None:
    one, other = normal_path(one), normal_path(other)
    assert segments_of(literal_path(one)) == segments_of(one)
    assert literal_path(literal_path(one)) == literal_path(one)
    assert normal_path(literal_path(one)) == literal_path(one)
    assert (literal_path(one) == literal_path(other)) == (segments_of(one) == segments_of(other))
    # Conversely, any spelling of a path has the same literal path.
    spelled = "/".join("".join(f"%{byte:02x}" for byte in name) for name in segments_of(one))
    assert literal_path(normal_path(spelled)) == literal_path(one)
    if has_one_spelling(one):
        assert literal_path(one) == one


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a-b/.c_d~/9", True), ("/a!", False), ("/%2F", False), ('/"', False), ("*", False)],
)
def test_has_one_spelling_for_unreserved_characters_only(path: str, expected: object) -> None:
    assert has_one_spelling(path) is expected
