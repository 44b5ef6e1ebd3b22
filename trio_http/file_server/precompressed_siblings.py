"""Precompressed siblings: files that may be sent in place of another one, in a content coding.

Next to ``name`` there may be ``name.zst``, ``name.br`` or ``name.gz``, made
beforehand. A name proves nothing: the file may be empty, half written, a
version of long ago, or something else. A check of its first and last bytes
leaves most of that possible, above all a slow compressor at work, which writes
nothing for many seconds. So a sibling is decoded once in each of its versions,
and it is believed only if that gives the file, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TypeAlias

import trio

from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.root import OpenDirectory
from trio_http.file_server.versions import Version, age_of, is_unchanged, version_of
from trio_http.semantics.decoding import DECODERS
from trio_http.semantics.errors import HTTPError
from trio_http.transport.page_cache import read_slice

# The best first, which is what a client gets that has no preference.
SUFFIXES = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}

FileHandle: TypeAlias = tuple[int, os.stat_result]
"""A descriptor, and the status when it was opened."""

# Nanoseconds for which neither file must have changed: who replaces both does it one
# after the other, and until then there is no use in comparing them.
SETTLED = 2_000_000_000

# To decode so much takes a second at most, and the first client waits for it.
LONGEST = 256 * 1024 * 1024

# Read at once, so that a client that goes away or a server's end is noticed in between.
_PIECE = 64 * 1024


class PrecompressedSiblings:
    """Finds the siblings of files, and remembers which of them were believed."""

    def __init__(self) -> None:
        self._known: VersionCache[bool] = VersionCache()
        # Decoding must not take the threads that open and read files for other clients.
        self._decoding = Lock()

    def of(self, directory: OpenDirectory, name: str, file: FileHandle) -> Mapping[str, Version]:
        """Return the codings in which a file is there as well, and the versions of its siblings.

        It may have to decode all of them, in a worker thread of Trio's. While
        another thread does that for other files, those of this one are left out.
        """
        found: dict[str, Version] = {}
        if 0 < file[1].st_size <= LONGEST and age_of(file[1]) >= SETTLED:
            for coding in filter(DECODERS.__contains__, SUFFIXES):
                # There may be none, or a link; the name may be too long for the suffix;
                # a disk may fail. The file itself is there in any case.
                with suppress(HTTPError, OSError):
                    sibling = directory.open(name + SUFFIXES[coding])
                    with closing(sibling):
                        if self._is_believed(coding, file, sibling):
                            found[coding] = version_of(sibling[1])
        return found

    def _is_believed(self, coding: str, file: FileHandle, sibling: FileHandle) -> bool:
        if age_of(sibling[1]) < SETTLED:
            return False
        key = key_of(file[1], sibling[1], coding)
        known = self._known.get(key)
        if known is None and self._decoding.acquire(blocking=False):
            try:
                known = is_same(coding, file[0], sibling[0])
            finally:
                self._decoding.release()
            # Both are as they were, or nothing is known of what they were.
            if not (is_unchanged(*file) and is_unchanged(*sibling)):
                return False
            self._known.note(key, known)
        return known is True


def is_same(coding: str, file: int, sibling: int) -> bool:
    """Whether what is coded in one open file is the other, and all of it; in a thread of Trio's."""
    offset = 0
    try:
        for data in DECODERS[coding](_pieces(sibling)):
            if data != read_slice(file, offset, len(data)):
                return False
            offset += len(data)
    except ValueError:
        return False
    return not read_slice(file, offset, 1)


def _pieces(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while data := read_slice(descriptor, offset, _PIECE):
        trio.from_thread.check_cancelled()
        yield data
        offset += len(data)


@contextmanager
def closing(file: FileHandle) -> Iterator[None]:
    """Close an open file when the block ends."""
    try:
        yield
    finally:
        os.close(file[0])
