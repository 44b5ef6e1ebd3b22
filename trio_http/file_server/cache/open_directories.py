"""Folders that stay open for a second, for those who open one file after the other in them.

To open a folder takes as long, at each of its levels, as to open a file in it.
What is held open stays what it is: who moves or replaces a folder has the old
one served for a second more, and no longer.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from trio_http.file_server.cache.expiring import after_a_second
from trio_http.file_server.root import OpenDirectory, Root

# Each takes a descriptor, of which a process has a thousand or so for everything.
MOST = 32

_Names = tuple[str, ...]


class OpenDirectories:
    """The folders of a directory that have been asked for within the last second.

    They are for tasks, from one checkpoint to the next: in between a folder may
    be closed, and its descriptor soon be that of something else.

    Args:
        directory: the directory that is served.
        nursery: holds the folders open, and closes them when it is cancelled.
    """

    def __init__(self, root: Root, nursery: trio.Nursery) -> None:
        self._root = root
        self._nursery = nursery
        self._open: dict[_Names, OpenDirectory] = {}

    def get(self, names: _Names) -> OpenDirectory | None:
        """The folder to which the names lead, or None where too many others are open.

        It is not to be closed. ``HTTPError`` as with ``Directory.open``, which
        may have to wait for a disk.
        """
        directory = self._open.get(names)
        if directory is None and len(self._open) < MOST:
            directory = self._root.open(names)
            # A path is checked each time, because nothing holds what it leads to.
            if directory.descriptor is not None:
                self._open[names] = directory
                self._nursery.start_soon(after_a_second, lambda: self._close(names))
        return directory

    def _close(self, names: _Names) -> None:
        directory = self._open.pop(names)
        with suppress(OSError):  # it would end the whole server
            directory.close()
