"""What was found out about files by reading them, which holds as long as their versions do."""

from __future__ import annotations

import os
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

from trio_http.file_server.versions import version_of

Fact = TypeVar("Fact")

# Enough for the files of a large site; each takes about 300 bytes.
REMEMBERED = 1000

Key: TypeAlias = tuple[int | str, ...]


class VersionCache(Generic[Fact]):
    """Remembers the facts that were used last; for tasks and worker threads alike."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Fact] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Fact | None:
        """Return what is known by this key."""
        with self._lock:
            if key not in self._known:
                return None
            self._known.move_to_end(key)
            return self._known[key]

    def note(self, key: Key, fact: Fact) -> None:
        """Remember a fact.

        The key has to be from before the file was read, and from when the file
        was settled: otherwise the file may be another one by now, or soon,
        without its version showing it.
        """
        with self._lock:
            self._known[key] = fact
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def key_of(status: os.stat_result, *more: int | str) -> Key:
    """Return a key for what is found out about a file that has this status."""
    return (status.st_dev, *version_of(status), *more)
