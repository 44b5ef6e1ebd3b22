"""The caches that hold descriptors open, and the frame in which they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.cache.small_files import SmallFiles
from trio_http.file_server.root import Root


@dataclass(frozen=True, slots=True)
class DescriptorCaches:
    """The directories and small files that were requested within the last second."""

    directories: OpenDirectories
    small_files: SmallFiles


@asynccontextmanager
async def descriptor_caches(root: Root) -> AsyncIterator[DescriptorCaches]:
    """Yield caches for a directory; leaving the block closes whatever they hold open."""
    # A task per open descriptor closes it after a second; the nursery ends all of them.
    async with trio.open_nursery() as nursery:
        directories = OpenDirectories(root, nursery)
        yield DescriptorCaches(directories, SmallFiles(directories, root.allow, nursery))
        nursery.cancel_scope.cancel()
