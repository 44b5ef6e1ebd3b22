"""A dictionary that drops its oldest entries when it holds too much."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class BoundedDict(Generic[Key, Value]):
    """Holds entries up to a total weight, oldest first.

    Args:
        most: the maximum total weight.
        weigh: returns the weight of a value; by default each weighs 1.
    """

    def __init__(self, most: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._most = most
        self._weigh = weigh
        self._weight = 0
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        # The method of the dictionary itself, because every request for a file calls it.
        self.get: Callable[[Key], Value | None] = self._entries.get

    def put(self, key: Key, value: Value) -> None:
        """Add the newest entry, in place of any other with this key."""
        self.remove(key)
        self._entries[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._most:
            _, oldest = self._entries.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def renew(self, key: Key) -> None:
        """Make the entry with this key, which must exist, the newest."""
        self._entries.move_to_end(key)

    def remove(self, key: Key) -> None:
        """Remove the entry with this key, if there is one."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._weight -= self._weigh(value)
