"""Tests of the paths that patterns match and of the values of their names."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.apps.route_pattern import Pattern
from trio_http.semantics.request import decoded


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/", "/", {}),
        ("/users/{name}", "/users/ada", {"name": "ada"}),
        ("/users/{name}", "/users/", None),  # values are never empty
        ("/users/{name}", "/users/ada/", None),
        ("/users/{name}", "/users/ada/notes", None),
        ("/users/{name}", "/Users/ada", None),  # paths are case-sensitive (RFC 3986 6.2.2.1)
        ("/users/{name}", "/users/a%2Fb", {"name": "a/b"}),  # escaped, so not a separator
        ("/users/{name}", "/users/%00", {"name": "\0"}),
        ("/users/{name}", "/users/%0A", {"name": "\n"}),
        ("/users/{name}", "/users/%c3%a9", {"name": "é"}),
        ("/users/{name}", "/users/%ff", {"name": "\udcff"}),  # not UTF-8, but kept
        ("/users/{name}", "/users/100%", {"name": "100%"}),  # not an escape
        ("/users/{name}", "/users/a+b", {"name": "a+b"}),  # a space in forms, not in paths
        ("/{a}/{b}", "/1/2", {"a": "1", "b": "2"}),
        ("/{a}-{b}", "/1-2", {"a": "1", "b": "2"}),
        ("/{name}.txt", "/notes.txt", {"name": "notes"}),
        ("/{name}.txt", "/notesAtxt", None),  # a dot matches only itself
        ("/docs/{rest:path}", "/docs/a", {"rest": "a"}),
        ("/docs/{rest:path}", "/docs/a/b//c/", {"rest": "a/b//c/"}),
        ("/docs/{rest:path}", "/docs/a%20b/c", {"rest": "a b/c"}),
        ("/docs/{rest:path}", "/docs/a\nb", {"rest": "a\nb"}),
        ("/docs/{rest:path}", "/docs/", None),
        ("/docs/{rest:path}", "/docs", None),
        ("/{a:path}/edit", "/x/y/edit", {"a": "x/y"}),
        ("/{name:str}", "/a%20b", {"name": "a b"}),  # the default type
        ("/{name:str}", "/a/b", None),
        ("/users/{id:int}", "/users/42", {"id": 42}),
        ("/users/{id:int}", "/users/007", {"id": 7}),
        ("/users/{id:int}", "/users/", None),
        ("/users/{id:int}", "/users/4a", None),
        ("/users/{id:int}", "/users/4/2", None),
        ("/users/{id:int}", "/users/-4", None),  # digits only
        ("/users/{id:int}", "/users/+4", None),
        ("/users/{id:int}", "/users/4_2", None),  # valid only in Python
        ("/users/{id:int}", "/users/%34", None),  # not a normal path
        ("/users/{id:int}", "/users/\u0664", None),  # an Arabic four
        ("/users/{id:int}", "/users/" + "9" * 39, {"id": 10**39 - 1}),
        ("/users/{id:int}", "/users/" + "9" * 40, None),  # too long
        ("/{a:int}-{b}.{c:int}", "/1-2.3", {"a": 1, "b": "2", "c": 3}),
        ("/{a:int}/{b:path}", "/1/2/3", {"a": 1, "b": "2/3"}),
        ("/%7Eada", "/~ada", {}),
        ("/caf%c3%a9", "/caf%C3%A9", {}),
        ("/a/./b/../{name}", "/a/c", {"name": "c"}),
        ("/.{name}", "/..a", {"name": ".a"}),
        ("/a%2fb", "/a%2Fb", {}),
        ("/a%2fb", "/a/b", None),
        ("/a%7B{name}%7d", "/a%7Bb%7D", {"name": "b"}),  # escaped braces are literals
    ],
)
def test_match_returns_the_values_of_the_names(
    pattern: str, path: str, names: dict[str, str] | None
) -> None:
    assert Pattern.parse(pattern).match(path) == names


@pytest.mark.parametrize(
    "pattern", ["/{y}-{m}-{d}", "/{a}{b}{c}", "/{a}.{b}/x", "/{a:path}/x/{b:path}/{c:path}/y"]
)
def test_mismatch_takes_linear_time(pattern: str) -> None:
    # A regular expression that tries all ways to divide these would take hours.
    for unit in ("-", ".", "/x/", "a", "-."):
        assert Pattern.parse(pattern).match("/" + unit * (8000 // len(unit)) + "/") is None


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/{year:int}-{month:int}", "/2026-11", {"year": 2026, "month": 11}),
        ("/{name}.{ending}", "/caf%C3%A9.tar.gz", {"name": "café.tar", "ending": "gz"}),
        ("/{name}{number:int}", "/v12", {"name": "v1", "number": 2}),
        ("/{a:path}/x/{b:path}", "/a/x/b/x/c", {"a": "a/x/b", "b": "c"}),
    ],
)
def test_segment_with_several_names_is_matched(
    pattern: str, path: str, names: dict[str, object]
) -> None:
    assert Pattern.parse(pattern).match(path) == names


@given(st.text(alphabet="ab/%2Fe.\n", max_size=12))
def test_name_matches_exactly_one_decoded_segment(path: str) -> None:
    expected = None
    match path.split("/"):
        case ["", "a", name, "b"] if name:
            expected = {"name": decoded(name)}
    assert Pattern.parse("/a/{name}/b").match(path) == expected


@given(st.binary(min_size=1))
def test_value_may_be_any_escaped_bytes(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    assert Pattern.parse("/{name}").match("/" + quote(raw, safe="")) == {"name": name}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "users",
        "{name}",
        "/a b",
        "/café",  # must be written as caf%C3%A9
        "/a?b=c",  # a query is not part of a path
        "/a#b",  # nor a fragment
        "/100%",  # malformed escapes never arrive
        "/%4{name}",
        "/{",
        "/}",
        "/{}",
        "/{{name}}",
        "/{first name}",
        "/{1st}",
        "/{name:}",
        "/{name:Int}",
        "/{name:float}",  # an unknown type
        "/{name}/{name}",
    ],
)
def test_malformed_pattern_raises_value_error(text: str) -> None:
    message = r"not a percent-encoded path|write names in braces|only once|not float"
    with pytest.raises(ValueError, match=message):
        Pattern.parse(text)


patterns = st.lists(
    st.tuples(st.sampled_from(["/", "-"]), st.sampled_from(["int", "str", "path"])), max_size=3
).map(
    lambda parts: Pattern.parse(
        "/" + "".join(f"{literal}{{n{i}:{kind}}}" for i, (literal, kind) in enumerate(parts))
    )
)


@given(patterns, patterns, st.text(alphabet="12a/-", max_size=8))
def test_covering_pattern_matches_the_same_paths(wide: Pattern, narrow: Pattern, path: str) -> None:
    assert wide.covers(wide)
    if wide.covers(narrow) and narrow.match("/" + path) is not None:
        assert wide.match("/" + path) is not None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/a-b/{name}.txt", True),  # unreserved characters only
        ("/it's/{name}", False),  # may also be sent as /it%27s/
        ("/caf%c3%a9", False),  # not ASCII
    ],
)
def test_literals_of_unreserved_characters_have_one_spelling(
    pattern: str,
    expected: bool,  # noqa: FBT001 - an expected value
) -> None:
    assert Pattern.parse(pattern).has_one_spelling == expected
