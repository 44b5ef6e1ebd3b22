"""Facts that were found by reading files, and that hold as long as their versions do."""

from __future__ import annotations

import os
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

from trio_http.file_server.cache.bounded import BoundedDict
from trio_http.file_server.versions import is_settled, version_of

Fact = TypeVar("Fact")

# Enough for the files of a large site; each takes about 300 bytes.
REMEMBERED = 1000

Key: TypeAlias = tuple[int | str, ...]


class VersionCache(Generic[Fact]):
    """Remembers the facts that were used most recently; for tasks and threads alike."""

    def __init__(self) -> None:
        self._known: BoundedDict[Key, Fact] = BoundedDict(REMEMBERED)
        self._lock = Lock()

    def get(self, key: Key | None) -> Fact | None:
        """Return the fact with this key, if it is known."""
        if key is None:
            return None
        with self._lock:
            fact = self._known.get(key)
            if fact is not None:
                self._known.renew(key)
            return fact

    def note(self, key: Key | None, fact: Fact) -> None:
        """Remember a fact, unless its key is None."""
        if key is not None:
            with self._lock:
                self._known.put(key, fact)


def key_of(*parts: os.stat_result | str) -> Key | None:
    """Return the key of a fact about the files with these statuses; make it before reading them.

    None if one of the files changed a moment ago: it could change again without another
    version, and the fact would be kept for the wrong content.
    """
    key: Key = ()
    for part in parts:
        if isinstance(part, str):
            key += (part,)
        elif is_settled(part):
            key += (part.st_dev, *version_of(part))  # inodes are unique on one device only
        else:
            return None
    return key
