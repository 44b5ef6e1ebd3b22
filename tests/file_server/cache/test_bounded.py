"""Tests of bounded dictionaries: their content, and the entries that they drop first."""

from trio_http.file_server.cache.bounded import BoundedDict


def held(entries: BoundedDict[str, int]) -> dict[str, int]:
    found = {key: entries.get(key) for key in "abcd"}
    return {key: value for key, value in found.items() if value is not None}


def test_oldest_entry_is_dropped_first() -> None:
    entries: BoundedDict[str, int] = BoundedDict(2)
    for key in "abc":
        entries.put(key, 1)
    assert held(entries) == {"b": 1, "c": 1}


def test_entry_put_again_becomes_the_newest() -> None:
    entries: BoundedDict[str, int] = BoundedDict(2)
    for key, value in [("a", 1), ("b", 2), ("a", 3), ("c", 4)]:
        entries.put(key, value)
    assert held(entries) == {"a": 3, "c": 4}


def test_renewed_entry_becomes_the_newest() -> None:
    entries: BoundedDict[str, int] = BoundedDict(2)
    entries.put("a", 1)
    entries.put("b", 2)
    entries.renew("a")
    entries.put("c", 3)
    assert held(entries) == {"a": 1, "c": 3}


def test_entries_are_dropped_by_weight() -> None:
    entries: BoundedDict[str, int] = BoundedDict(10, lambda value: value)
    entries.put("a", 4)
    entries.put("b", 6)
    assert held(entries) == {"a": 4, "b": 6}
    entries.put("a", 3)  # replaces 4
    entries.put("c", 1)
    assert held(entries) == {"a": 3, "b": 6, "c": 1}
    entries.put("d", 8)
    assert held(entries) == {"c": 1, "d": 8}
    entries.put("a", 11)
    assert held(entries) == {}


def test_removed_entry_weighs_nothing() -> None:
    entries: BoundedDict[str, int] = BoundedDict(2)
    entries.put("a", 1)
    entries.remove("a")
    entries.remove("a")  # it does not exist
    entries.put("b", 2)
    entries.put("c", 3)
    assert held(entries) == {"b": 2, "c": 3}
