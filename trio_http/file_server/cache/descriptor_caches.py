"""The caches that hold descriptors open."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.cache.small_files import SmallFiles
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


def descriptor_caches(root: Root, nursery: trio.Nursery) -> DescriptorCaches:
    """Return caches for a directory; the end of the nursery closes whatever they hold open."""
    # A task per open descriptor closes it after a second, and one makes each digest.
    directories = OpenDirectories(root, nursery)
    small_files = SmallFiles(directories, root.allow, nursery)
    return DescriptorCaches(directories, small_files, SharedWork(nursery))
