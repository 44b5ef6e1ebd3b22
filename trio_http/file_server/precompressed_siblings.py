"""Finds precompressed siblings: ``name.zst``, ``name.br`` or ``name.gz``, to be sent for ``name``.

A name proves nothing. The file may be empty, incomplete, of an old version, or something
else. Checking its first and last bytes would leave most of these possible, above all a slow
compressor that writes nothing for many seconds. So a sibling is decoded once per version,
and it counts only if that gives the file, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TypeAlias

import trio

from trio_http.file_server.beneath_root import OpenDirectory
from trio_http.file_server.cache.by_version import VersionCache, key_of
from trio_http.file_server.versions import Version, age_of, is_unchanged, version_of
from trio_http.semantics.content_decoding import DECODERS
from trio_http.semantics.errors import HTTPError
from trio_http.transport.page_cache import read_slice

# The best first: a client without a preference gets it.
SUFFIXES = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}

FileHandle: TypeAlias = tuple[int, os.stat_result]
"""A descriptor, and the status of the file when it was opened."""

# Nanoseconds for which neither file may have changed. A program that replaces both does so one
# after the other, and comparing them before that is useless.
SETTLED = 2_000_000_000

# Bytes. Decoding as many takes a second at most, and the first client waits for it.
LONGEST = 256 * 1024 * 1024

# Bytes that are read at once. In between, the thread checks whether the client has left or the
# server ends.
_PIECE = 64 * 1024


class PrecompressedSiblings:
    """Finds the siblings of files, and remembers which of them decode to their files."""

    def __init__(self) -> None:
        self._known: VersionCache[bool] = VersionCache()
        # Decoding must not take the threads that look up files for other clients.
        self._decoding = Lock()

    def of(self, directory: OpenDirectory, name: str, file: FileHandle) -> Mapping[str, Version]:
        """Return the versions of a file's siblings, by their content codings.

        This may have to decode all of them, in a thread of Trio's. While another thread decodes the
        siblings of another file, those of this one are left out.
        """
        found: dict[str, Version] = {}
        if 0 < file[1].st_size <= LONGEST and age_of(file[1]) >= SETTLED:
            for coding in filter(DECODERS.__contains__, SUFFIXES):
                # It may be missing or a link, its name may be too long, or the disk may fail.
                # The file itself is there in any case.
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
            # If one has changed meanwhile, the comparison was of something else.
            if not (is_unchanged(*file) and is_unchanged(*sibling)):
                return False
            self._known.note(key, known)
        return known is True


def is_same(coding: str, file: int, sibling: int) -> bool:
    """Return whether an open sibling decodes to exactly an open file; in a thread of Trio's."""
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
