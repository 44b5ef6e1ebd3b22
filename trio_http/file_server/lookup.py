"""Looks up what a request target names in a served directory, and decides what the client gets.

The decision is a value, ``Found``. Sending it is the next step, in ``app``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.cache.expiring import ExpiringCache
from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.content_sniffing import ContentSniffer
from trio_http.file_server.listing.directory_response import (
    INDEX,
    Listing,
    index_of,
    listing_of,
    names_directory,
    path_with_slash,
)
from trio_http.file_server.mounts import Mounts
from trio_http.file_server.open_file import FileMetadata, OpenFile
from trio_http.file_server.permissions import Permissions
from trio_http.file_server.precompressed_siblings import PrecompressedSiblings
from trio_http.file_server.retries import in_time
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.versions import Version, version_of
from trio_http.file_server.virtual_files import read
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.request import Request
from trio_http.transport.threads import Custody, close_in_thread


@dataclass(frozen=True, slots=True)
class Redirect:
    """The target names a directory without its final slash; ``location`` has the slash."""

    location: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The client gets nothing but this error."""

    error: HTTPError


Found: TypeAlias = OpenFile | Listing | Redirect | Refusal
"""What a lookup decides: a file, a directory's listing, a redirect, or a refusal."""


class Lookup:
    """Looks up request targets in one directory, and remembers the files for a second."""

    def __init__(self, root: Root, sniffer: ContentSniffer) -> None:
        self._root = root
        self._sniffer = sniffer
        has_siblings = Permissions.PRECOMPRESSED in root.allow
        self._siblings = PrecompressedSiblings() if has_siblings else None
        self._recent: ExpiringCache[FileMetadata] = ExpiringCache()
        self._mounts = Mounts()

    async def find(self, request: Request, custody: Custody) -> Found:
        """Return the decision about a target; the custody closes the file, if one is open."""
        lookups = self._root.lookups
        try:
            found = await in_time(lambda: custody.run(lookups, self._find, request, custody))
        except HTTPError as error:
            return Refusal(error)
        # A listing takes far longer than its lookup, and the content of a virtual file
        # is not known by its version.
        if isinstance(found, OpenFile) and found.is_local and found.read is None:
            self._recent.note(request.path, found.metadata)
        return found

    def find_again(
        self, request: Request, directories: OpenDirectories | None = None
    ) -> OpenFile | None:
        """Open the version of a file that was found within the last second, without waiting.

        None if the target names anything else; the caller closes the file. ``directories`` are
        the directories that are held open, if any.
        """
        metadata = self._recent.get(request.path)
        # At the root of a mount, the path is a slash whether the target ends with one or not.
        if metadata is None or (request.path.endswith("/") and not names_directory(request)):
            return None
        try:
            if directories is not None:
                held = directories.get(metadata.segments)
                if held is not None:
                    return metadata.open_best(held, request)
            with self._root.directory(metadata.segments) as directory:
                return metadata.open_best(directory, request)
        except (HTTPError, OSError):
            return None

    # In threads

    def _find(self, request: Request, custody: Custody) -> OpenFile | Listing | Redirect:
        """Decide as ``find`` does; this may wait for a disk, and raises what is refused."""
        found = self._named(request)
        if isinstance(found, OpenFile):
            close = os.close if found.is_local else close_in_thread
            custody.held.callback(close, found.descriptor)
        return found

    def _named(self, request: Request) -> OpenFile | Listing | Redirect:
        *above, name = request.segments
        with self._root.directory(above) as directory:
            if names_directory(request):
                return self._index_or_listing(directory, request)
            if name:  # at the root of a mount there is none
                status = directory.status(name)
                if status is None:
                    raise HTTPError(404)
                if stat.S_ISREG(status.st_mode):
                    return self._file(directory, name, request)
                if not stat.S_ISDIR(status.st_mode):
                    raise HTTPError(404)  # opening a device or a FIFO may have effects
                above.append(name)
        with self._root.directory(above) as directory:
            if Permissions.LISTING in directory.allow or index_of(directory) is not None:
                return Redirect(path_with_slash(request))
            raise HTTPError(404)

    def _index_or_listing(self, directory: OpenDirectory, request: Request) -> OpenFile | Listing:
        if index_of(directory) is not None:
            return self._file(directory, INDEX, request)
        if Permissions.LISTING in directory.allow:
            return listing_of(directory, request.segments[:-1])
        raise HTTPError(404)

    def _file(self, directory: OpenDirectory, name: str, request: Request) -> OpenFile:
        descriptor, status = directory.open(name)
        try:
            body = read(descriptor, status)
            with refusing():
                file_type = self._sniffer.of(name, (descriptor, status))
            siblings: Mapping[str, Version] = {}
            if self._siblings is not None and body is None and file_type.coding is None:
                siblings = self._siblings.of(directory, name, (descriptor, status))
            metadata = FileMetadata(
                request.segments[:-1], name, version_of(status), file_type, siblings
            )
            # Both: a link may lead from one file system to another.
            is_local = all(map(self._mounts.is_local, (directory.descriptor, descriptor)))
            found = OpenFile(metadata, descriptor, status, None, is_local, body)
            return found.or_sibling(directory, request)
        except BaseException:
            os.close(descriptor)
            raise
