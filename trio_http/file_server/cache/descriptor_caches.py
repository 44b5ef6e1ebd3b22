"""The caches that hold descriptors, and the frame within which they do."""

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
    """The directories and the short files that have been asked for within the last second."""

    directories: OpenDirectories
    small_files: SmallFiles


@asynccontextmanager
async def descriptor_caches(root: Root) -> AsyncIterator[DescriptorCaches]:
    """Yield caches for a directory; leaving closes whatever they hold open."""
    # Each thing that is held open has a task that closes it, and the nursery ends them.
    async with trio.open_nursery() as nursery:
        directories = OpenDirectories(root, nursery)
        yield DescriptorCaches(directories, SmallFiles(directories, root.allow, nursery))
        nursery.cancel_scope.cancel()
