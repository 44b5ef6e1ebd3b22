"""Tests of names in a served directory: which of them clients can reach."""

import pytest

from trio_http.file_server.permissions import (
    NOTHING_MORE,
    PART_PREFIX,
    PART_SUFFIX,
    Permissions,
    check_name,
    is_part,
    is_shown,
)
from trio_http.semantics.errors import HTTPError


@pytest.mark.parametrize(
    ("name", "allow", "expected"),
    [
        ("file", NOTHING_MORE, True),
        (".file", NOTHING_MORE, False),
        ("...", NOTHING_MORE, False),
        (".file", ~Permissions.HIDDEN, False),
        (".file", Permissions.HIDDEN, True),
        ("a.file.", NOTHING_MORE, True),
        (f"{PART_PREFIX}0{PART_SUFFIX}", ~NOTHING_MORE, False),
    ],
)
def test_visibility_of_a_name_depends_on_permissions(
    name: str, allow: Permissions, expected: object
) -> None:
    assert is_shown(name, allow) is expected


@pytest.mark.parametrize("middle", ["", "0123", "x.part"])
def test_parts_are_recognized_by_their_names(middle: str) -> None:
    assert is_part(f"{PART_PREFIX}{middle}{PART_SUFFIX}")


@pytest.mark.parametrize(
    "name", ["", "0123", f"{PART_PREFIX}0123", f"0123{PART_SUFFIX}", f"x{PART_PREFIX}{PART_SUFFIX}"]
)
def test_similar_names_are_not_parts(name: str) -> None:
    assert not is_part(name)


@pytest.mark.parametrize("name", ["a", "...", ".hidden", "a..b", "~", "-", " ", "%00", "\n", "é"])
def test_unusual_name_is_visible(name: str) -> None:
    check_name(name, Permissions.HIDDEN)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\0", ".hidden", f"{PART_PREFIX}0{PART_SUFFIX}"]
)
def test_names_that_clients_cannot_reach_get_404(name: str) -> None:
    with pytest.raises(HTTPError) as refusal:
        check_name(name, ~Permissions.HIDDEN)
    assert refusal.value.status == 404
