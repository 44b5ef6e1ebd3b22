"""Tests of splitting a path into the values of a pattern's names."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trio_http.apps.route_splitting import DIGITS, Extent, is_ambiguous, split

STR, PATH, INT = Extent(stop="/"), Extent(), Extent(only=DIGITS, longest=3)
CLASSES = {STR: "([^/]+)", PATH: "(.+)", INT: "([0-9]{1,3})"}


@pytest.mark.parametrize(
    ("path", "literals", "extents", "expected"),
    [
        ("/2026-11-27", ["/", "-", "-", ""], [STR] * 3, ["2026", "11", "27"]),
        ("/a.tar.gz", ["/", ".", ""], [STR] * 2, ["a.tar", "gz"]),  # the first is longest
        ("/a.tar.", ["/", ".", ""], [STR] * 2, ["a", "tar."]),  # but values are never empty
        ("/a.", ["/", ".", ""], [STR] * 2, None),
        ("/a/b.c", ["/", ".", ""], [STR] * 2, None),
        ("/a.b/c", ["/", ".", ""], [STR] * 2, None),
        ("/a/x/b/x/c", ["/", "/x/", ""], [PATH] * 2, ["a/x/b", "c"]),
        ("/ab", ["/", "", ""], [STR] * 2, ["a", "b"]),
        ("/1x2", ["/", "", ""], [INT, STR], ["1", "x2"]),
        ("/12345", ["/", "", ""], [INT, STR], ["123", "45"]),
        ("/12345", ["/", "", ""], [STR, INT], ["1234", "5"]),
        ("/a-1234", ["/", "-", ""], [STR, INT], None),
        ("a", ["/", "-", ""], [STR] * 2, None),
        ("/", ["/", "-", ""], [STR] * 2, None),
        ("", ["/", "-", ""], [STR] * 2, None),
    ],
)
def test_split_returns_the_values(
    path: str, literals: list[str], extents: list[Extent], expected: list[str] | None
) -> None:
    assert split(path, literals, extents) == expected


NAMES = st.lists(st.sampled_from(list(CLASSES)), min_size=1, max_size=4)
TEXTS = st.text(st.sampled_from("/-a1"), max_size=3)
PATTERNS = NAMES.flatmap(
    lambda names: st.tuples(
        st.lists(TEXTS, min_size=len(names) + 1, max_size=len(names) + 1), st.just(names)
    )
)


@settings(deadline=None, max_examples=500)
@given(PATTERNS, st.lists(st.text(st.sampled_from("/-a1"), max_size=4), max_size=8))
@example((["/", "-", ""], [STR, STR]), ["/", "a-a", "-a"])
def test_split_equals_a_regular_expression(
    pattern: tuple[list[str], list[Extent]], words: list[str]
) -> None:
    literals, extents = pattern
    # Words between the literals, so that many of the paths match.
    fitting = "".join(
        literal + word for literal, word in zip(literals, [*words, *[""] * 9], strict=False)
    )
    for path in ("".join(words), fitting):
        match = expression(literals, extents).fullmatch(path)
        assert split(path, literals, extents) == (None if match is None else list(match.groups()))


def expression(literals: Sequence[str], extents: Sequence[Extent]) -> re.Pattern[str]:
    groups = [CLASSES[extent] for extent in extents]
    pairs = zip(literals, [*groups, ""], strict=True)
    return re.compile("".join(re.escape(literal) + group for literal, group in pairs), re.DOTALL)


@pytest.mark.parametrize(
    ("literals", "extents", "ambiguous"),
    [
        (["/", ""], [STR], False),
        (["/", ".txt"], [STR], False),
        (["/", "/", ""], [STR, STR], False),
        (["/", "-x/y-", ""], [STR, STR], False),
        (["/", "-", ""], [STR, STR], True),
        (["/", "", ""], [STR, STR], True),
        (["/", "-", ""], [STR, INT], False),
        (["/", "", ""], [STR, INT], True),
        (["/", "1", ""], [INT, INT], True),
        (["/", "-", "-", ""], [STR, INT, STR], False),
        (["/", "-", "/", ""], [STR, INT, STR], False),
        (["/", "/", ""], [STR, PATH], False),
        (["/", "/", ""], [PATH, STR], False),
        (["/", "-", ""], [PATH, STR], True),
        (["/", "/", ""], [PATH, PATH], True),
        (["/", "/x/", "/y/", ""], [PATH, STR, PATH], True),
    ],
)
def test_is_ambiguous_for_patterns_with_many_divisions(
    literals: list[str], extents: list[Extent], ambiguous: object
) -> None:
    assert is_ambiguous(literals, extents) is ambiguous


# Paths of the maximum length that do not match: trying all divisions would take years.
@pytest.mark.parametrize(
    ("literals", "extents", "unit"),
    [
        (["/", "-", "-", ""], [STR] * 3, "-"),
        (["/", "-", "-", "-", "-", "-", ""], [STR] * 6, "-"),
        (["/", "/-/", "/-/", "/y"], [PATH] * 3, "/-/"),
        (["/", "", "", ""], [STR, INT, STR], "1"),
    ],
)
def test_mismatch_of_a_long_path_takes_linear_time(
    literals: list[str], extents: list[Extent], unit: str
) -> None:
    assert is_ambiguous(literals, extents)
    assert split("/" + unit * (8000 // len(unit)) + "/", literals, extents) is None
