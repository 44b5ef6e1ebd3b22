"""Tests of the optional behavior of the server."""

from dataclasses import FrozenInstanceError

import pytest

from trio_http.semantics.behavior import Behavior


def test_behavior_is_frozen() -> None:
    behavior = Behavior()
    with pytest.raises(FrozenInstanceError):
        behavior.date = False  # type: ignore[misc] # what is tested


def test_negative_size_raises_value_error() -> None:
    with pytest.raises(ValueError, match="compress_min_size must be 0 or more, not -1"):
        Behavior(compress_min_size=-1)


def test_docstring_describes_each_field() -> None:
    assert Behavior.__doc__ is not None
    assert "\n    date: send a Date header (default: yes). RFC 9110 6.6.1 " in Behavior.__doc__
    assert "\n    compress_min_size: minimum bytes of " in Behavior.__doc__
    assert "\n    fast_path: handle simple requests without h11" in Behavior.__doc__
