"""The caches that hold descriptors open, and the frame in which they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.cache.small_files import SmallFiles
from trio_http.file_server.root import Root
from trio_http.file_server.shared_work import SharedWork
from trio_http.semantics.digests import Digest


@dataclass(frozen=True, slots=True)
class DescriptorCaches:
    """The directories and small files that were requested within the last second.

    ``digests`` are those being made at the moment, each for all requests that wait for it.
    """

    directories: OpenDirectories
    small_files: SmallFiles
    digests: SharedWork[Digest | None]


@asynccontextmanager
async def descriptor_caches(root: Root) -> AsyncIterator[DescriptorCaches]:
    """Yield caches for a directory; leaving the block closes whatever they hold open."""
    # A task per open descriptor closes it after a second, and one makes each digest; the
    # nursery ends all of them.
    async with trio.open_nursery() as nursery:
        directories = OpenDirectories(root, nursery)
        small_files = SmallFiles(directories, root.allow, nursery)
        yield DescriptorCaches(directories, small_files, SharedWork(nursery))
        nursery.cancel_scope.cancel()
