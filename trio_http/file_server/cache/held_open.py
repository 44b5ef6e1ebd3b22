"""The caches that hold descriptors, and the frame within which they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trio_http.file_server.cache.open_directories import OpenFolders
from trio_http.file_server.cache.small_files import Contents
from trio_http.file_server.root import Directory


@dataclass(frozen=True, slots=True)
class HeldOpen:
    """The directories and the short files that have been asked for within the last second."""

    folders: OpenFolders
    contents: Contents


@asynccontextmanager
async def held_open(directory: Directory) -> AsyncIterator[HeldOpen]:
    """Yield caches for a directory; leaving closes whatever they hold open."""
    # Each thing that is held open has a task that closes it, and the nursery ends them.
    async with trio.open_nursery() as nursery:
        folders = OpenFolders(directory, nursery)
        yield HeldOpen(folders, Contents(folders, directory.allow, nursery))
        nursery.cancel_scope.cancel()
