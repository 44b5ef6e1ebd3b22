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
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        # Each run of Trio has its own, because what one holds another might close.
        self._open: trio.lowlevel.RunVar[dict[_Names, Folder]] = trio.lowlevel.RunVar("folders")

    def get(self, names: _Names) -> Folder | None:
        """The folder to which the names lead, or None where too many others are open.

        It is not to be closed. ``HTTPError`` as with ``Directory.open``, which
        may have to wait for a disk.
        """
        try:
            folders = self._open.get()
        except LookupError:
            folders = {}
            self._open.set(folders)
        folder = folders.get(names)
        if folder is None and len(folders) < MOST:
            folder = self._directory.open(names)
            # A path is checked each time, because nothing holds what it leads to.
            if folder.descriptor is not None:
                folders[names] = folder
                # A task of nobody's, because a folder is for many requests, and
                # none of them can wait until the others have been answered.
                trio.lowlevel.spawn_system_task(_hold, folder, names, folders)
        return folder


async def _hold(folder: Folder, names: _Names, folders: dict[_Names, Folder]) -> None:
    try:
        await trio.sleep(SECONDS)
    finally:
        del folders[names]
        with suppress(OSError):  # which would end the run, and with it the whole program
            folder.close()
