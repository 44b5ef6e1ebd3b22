"""Open files, and the metadata that a lookup has found of a version of a file.

The metadata holds for as long as the version does. So a file can be opened again in the event
loop without reading it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from trio_http.file_server.beneath_root import OpenDirectory
from trio_http.file_server.media_types import FileType
from trio_http.file_server.precompressed_siblings import SUFFIXES
from trio_http.file_server.versions import Version, modified_of, tag_of, version_of
from trio_http.semantics.bodies import Body
from trio_http.semantics.conditional import State
from trio_http.semantics.content_coding import IDENTITY, choose_coding
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.request import Request
from trio_http.semantics.response_selection import parts_in


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """The path of a file, and what was found out about this version of it.

    Args:
        segments: the path of its directory.
        name: its name.
        version: the version that the rest is about.
        file_type: its type.
        siblings: the versions of its precompressed siblings, by content coding.
    """

    segments: tuple[str, ...]
    name: str
    version: Version
    file_type: FileType
    siblings: Mapping[str, Version]

    def open_best(self, directory: OpenDirectory, request: Request) -> OpenFile | None:
        """Open the representation that suits the client best, without waiting.

        None for another version, whose metadata is not known; ``HTTPError`` or ``OSError`` if the
        file does not exist any more.
        """
        descriptor, status = directory.reopen(self.name)
        if version_of(status) == self.version:
            file = OpenFile(self, descriptor, status)
            return file.or_sibling(directory, request) if self.siblings else file
        os.close(descriptor)
        return None


# Not frozen, because that would take longer than opening the file.
@dataclass(slots=True)
class OpenFile:
    """A file that is open to be sent; the holder closes its descriptor.

    Args:
        metadata: what is known of this version.
        descriptor: the open file, or its sibling.
        status: the status of whichever is open.
        coding: the content coding of the sibling, if one is open in place of the file.
        is_local: whether it can be opened again without asking another machine.
        read: the body of a file whose status does not tell its length.
    """

    metadata: FileMetadata
    descriptor: int
    status: os.stat_result
    coding: str | None = None
    is_local: bool = False
    read: Body | None = None

    def or_sibling(self, directory: OpenDirectory, request: Request) -> OpenFile:
        """Return this file, or the sibling that suits the client better, with this file closed.

        An existing representation is preferred to one that would have to be made.
        """
        siblings = self.metadata.siblings
        if not siblings:
            return self
        accepted = request.headers.get("Accept-Encoding")
        coding = choose_coding(accepted, tuple(siblings))
        if coding is None or coding == IDENTITY or self._is_cut(request, accepted):
            return self
        # It may have been removed, be unreadable, or be locked by another program for a moment.
        with suppress(HTTPError, OSError):
            descriptor, status = directory.open(self.metadata.name + SUFFIXES[coding])
            if version_of(status) == siblings[coding]:
                os.close(self.descriptor)
                return OpenFile(self.metadata, descriptor, status, coding, self.is_local)
            os.close(descriptor)
        return self

    def _is_cut(self, request: Request, accepted: str | None) -> bool:
        """Return whether the response is a part of the file itself.

        A client that continues a download has the first part of the file, unless it names a
        sibling by its tag in ``If-Range``.
        """
        if b"range" not in request.headers.names or choose_coding(accepted, ()) != IDENTITY:
            return False
        now = time.time()
        state = State((tag_of(self.status),), modified_of(self.status, now))
        return parts_in(request, self.status.st_size, state, now) is not None
