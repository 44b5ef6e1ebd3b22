"""Folders that stay open for a second, for those who open one file after the other in them.

To open a folder takes as long, at each of its levels, as to open a file in it.
What is held open stays what it is: who moves or replaces a folder has the old
one served for a second more, and no longer.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from trio_http.file_server.cache.recent import SECONDS
from trio_http.file_server.root import Directory, Folder

# Each takes a descriptor, of which a process has a thousand or so for everything.
MOST = 32

_Names = tuple[str, ...]


class OpenFolders:
    """The folders of a directory that have been asked for within the last second.

    They are for tasks, from one checkpoint to the next: in between a folder may
    be closed, and its descriptor soon be that of something else.

    Args:
        directory: the directory that is served.
        nursery: holds the folders open, and closes them when it is cancelled.
    """

    def __init__(self, directory: Directory, nursery: trio.Nursery) -> None:
        self._directory = directory
        self._nursery = nursery
        self._open: dict[_Names, Folder] = {}

    def get(self, names: _Names) -> Folder | None:
        """The folder to which the names lead, or None where too many others are open.

        It is not to be closed. ``HTTPError`` as with ``Directory.open``, which
        may have to wait for a disk.
        """
        folder = self._open.get(names)
        if folder is None and len(self._open) < MOST:
            folder = self._directory.open(names)
            # A path is checked each time, because nothing holds what it leads to.
            if folder.descriptor is not None:
                self._open[names] = folder
                # Not a task of the request's, because a folder is for many requests, and
                # none of them can wait until the others have been answered.
                self._nursery.start_soon(self._hold, folder, names)
        return folder

    async def _hold(self, folder: Folder, names: _Names) -> None:
        try:
            await trio.sleep(SECONDS)
        finally:
            del self._open[names]
            with suppress(OSError):  # which would end the whole server
                folder.close()
