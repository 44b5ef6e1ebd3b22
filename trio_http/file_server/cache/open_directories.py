"""Directories that stay open for a second, for requests for other files in them.

Opening a directory takes as long, per level, as opening a file in it. A directory that is
moved or replaced while it is open is served for the rest of the second.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import trio

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.cache.expiring import after_a_second

# Each takes a descriptor, and a process usually has a thousand for everything.
MOST = 32

_Names = tuple[str, ...]


class OpenDirectories:
    """The directories below a root that were requested within the last second.

    For tasks, and only until their next checkpoint: then a directory may be closed, and its
    descriptor soon be that of another file.

    Args:
        root: the directory that is served.
        nursery: runs the tasks that close the directories; cancelling it closes all.
    """

    def __init__(self, root: Root, nursery: trio.Nursery) -> None:
        self._root = root
        self._nursery = nursery
        self._open: dict[_Names, OpenDirectory] = {}

    def get(self, names: _Names) -> OpenDirectory | None:
        """Return the directory with this path, or None if too many others are open.

        The caller must not close it. This may wait for a disk; ``HTTPError`` as with ``Root.open``.
        """
        directory = self._open.get(names)
        if directory is None and len(self._open) < MOST:
            directory = self._root.open(names)
            # Without a descriptor nothing is held, and the path is checked each time.
            if directory.descriptor is not None:
                self._open[names] = directory
                self._nursery.start_soon(after_a_second, partial(self._close, names))
        return directory

    def _close(self, names: _Names) -> None:
        directory = self._open.pop(names)
        with suppress(OSError):  # it would end the whole server
            directory.close()
