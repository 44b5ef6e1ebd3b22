"""Digests of files: made in a few threads, and remembered."""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable

import trio

from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.shared_work import SharedWork
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.versions import is_unchanged
from trio_http.semantics.digests import ALGORITHMS, Digest
from trio_http.transport.page_cache import read_slice
from trio_http.transport.threads import Threads

# A gigabyte takes about a second of a core. Clients that ask for many digests must not take
# the threads that open and read files for others.
AT_ONCE = 2

# Bytes that are read at once. In between, the thread checks whether the client has left or the
# server ends.
_PIECE = 1024 * 1024


class FileDigests:
    """Makes the digests of open files, and remembers the last ones."""

    def __init__(self) -> None:
        self._known: VersionCache[Digest] = VersionCache()
        self._threads = Threads("digests", AT_ONCE, patience=math.inf)

    async def of(
        self,
        descriptor: int,
        status: os.stat_result,
        algorithm: str,
        shared: SharedWork[Digest | None] | None = None,
    ) -> Digest | None:
        """Return the digest of a file, or None if the file has changed since it had this status.

        With ``shared``, several tasks that ask for the same digest at once have it made once.
        """
        key = key_of(status, algorithm)
        if (known := self._known.get(key)) is not None:
            return known
        if shared is None:
            digest = await self._made(descriptor, status, algorithm)
        else:
            try:
                digest = await shared.of(key, lambda: self._apart(descriptor, status, algorithm))
            except _NoDescriptorError:
                digest = await self._made(descriptor, status, algorithm)
        if digest is not None:
            self._known.note(key, digest)
        return digest

    async def _made(self, descriptor: int, status: os.stat_result, algorithm: str) -> Digest | None:
        return await self._threads.run_with(
            (descriptor,), lambda own: digest_of(own, status, algorithm)
        )

    def _apart(
        self, descriptor: int, status: os.stat_result, algorithm: str
    ) -> Callable[[], Awaitable[Digest | None]]:
        """Return a function that makes the digest, whenever the caller closes the descriptor."""
        try:
            own = os.dup(descriptor)
        except OSError:
            raise _NoDescriptorError from None

        async def make() -> Digest | None:
            try:
                return await self._made(own, status, algorithm)
            finally:
                os.close(own)

        return make


class _NoDescriptorError(Exception):
    """The process has no descriptor to spare."""


def digest_of(descriptor: int, status: os.stat_result, algorithm: str) -> Digest | None:
    """Return the same, in a thread of Trio's."""
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
