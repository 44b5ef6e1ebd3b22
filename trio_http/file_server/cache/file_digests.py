"""Digests of stored files: made off the event loop, a few at a time, and remembered."""

from __future__ import annotations

import math
import os

import trio

from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.versions import is_unchanged
from trio_http.semantics.digests import ALGORITHMS, Digest
from trio_http.transport.page_cache import read_slice
from trio_http.transport.threads import Threads

# A gigabyte takes about a second of a core. Whoever asks for many of these must
# not take the threads that open and read files for everybody else.
AT_ONCE = 2

# Read in pieces, so that who goes away, or a server's end, is noticed in between.
_PIECE = 1024 * 1024


class FileDigests:
    """Makes digests of open files, and remembers the last ones."""

    def __init__(self) -> None:
        self._known: VersionCache[Digest] = VersionCache()
        self._threads = Threads("digests", AT_ONCE, patience=math.inf)

    async def of(self, descriptor: int, status: os.stat_result, algorithm: str) -> Digest | None:
        """The digest of a file, or None for one that has changed since it had that status."""
        key = key_of(status, algorithm)
        if (known := self._known.get(key)) is not None:
            return known
        digest = await self._threads.run_with(
            (descriptor,), lambda own: digest_of(own, status, algorithm)
        )
        if digest is not None:
            self._known.note(key, digest)
        return digest


def digest_of(descriptor: int, status: os.stat_result, algorithm: str) -> Digest | None:
    """The same, in a worker thread of Trio's."""
    hasher = ALGORITHMS[algorithm]()
    offset = 0
    with refusing():
        while data := read_slice(descriptor, offset, _PIECE):
            trio.from_thread.check_cancelled()
            hasher.update(data)
            offset += len(data)
        if not is_unchanged(descriptor, status):
            return None
    return Digest(algorithm, hasher.digest())
