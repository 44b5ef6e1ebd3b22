"""Files that were found, and open ones: what was learned of a version, and what suits a client.

What was learned in a worker thread holds for that version, so the file can be
opened again on the event loop without reading it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from trio_http.file_server.media_types import FileType
from trio_http.file_server.precompressed_siblings import SUFFIXES
from trio_http.file_server.root import OpenDirectory
from trio_http.file_server.versions import Version, modified_of, tag_of, version_of
from trio_http.semantics.bodies import Body
from trio_http.semantics.coding import IDENTITY, choose_coding
from trio_http.semantics.conditional import State
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.messages import Request
from trio_http.semantics.selection import parts_in


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """Where a file was found, and what was learned of this version of it.

    ``siblings`` are the codings in which there are siblings of it that are
    believed, with the version of each.
    """

    segments: tuple[str, ...]
    name: str
    version: Version
    file_type: FileType
    siblings: Mapping[str, Version]

    def open_best(self, directory: OpenDirectory, request: Request) -> OpenFile | None:
        """Open what suits the client best, without waiting.

        None for another version, of which all has to be learned anew;
        ``HTTPError`` or ``OSError`` where the file is no more.
        """
        descriptor, status = directory.reopen(self.name)
        if version_of(status) == self.version:
            file = OpenFile(self, descriptor, status)
            return file.or_sibling(directory, request) if self.siblings else file
        os.close(descriptor)
        return None


# Not frozen, because that would cost more than to open a file.
@dataclass(slots=True)
class OpenFile:
    """A file that is open to be sent; its holder closes its descriptor.

    ``coding`` is that of the sibling that is open in place of the file, if one
    is. What ``is_local`` can be opened again without asking another machine.
    ``read`` is the body of a file whose status does not tell its length.
    """

    metadata: FileMetadata
    descriptor: int
    status: os.stat_result
    coding: str | None = None
    is_local: bool = False
    read: Body | None = None

    def or_sibling(self, directory: OpenDirectory, request: Request) -> OpenFile:
        """Return this file, or else the sibling that suits the client better, with this one closed.

        What is there already is preferred to all that would have to be made.
        """
        siblings = self.metadata.siblings
        if not siblings:
            return self
        accepted = request.headers.get("Accept-Encoding")
        coding = choose_coding(accepted, tuple(siblings))
        if coding is None or coding == IDENTITY or self._is_cut(request, accepted):
            return self
        # It may be gone by now, not ours to read, or another program's for a moment.
        with suppress(HTTPError, OSError):
            descriptor, status = directory.open(self.metadata.name + SUFFIXES[coding])
            if version_of(status) == siblings[coding]:
                os.close(self.descriptor)
                return OpenFile(self.metadata, descriptor, status, coding, self.is_local)
            os.close(descriptor)
        return self

    def _is_cut(self, request: Request, accepted: str | None) -> bool:
        """Whether a part of the file itself is to be sent.

        A client that goes on with a download has the first part of the file,
        unless it names a sibling by its tag in ``If-Range``.
        """
        if b"range" not in request.headers.names or choose_coding(accepted, ()) != IDENTITY:
            return False
        now = time.time()
        state = State((tag_of(self.status),), modified_of(self.status, now))
        return parts_in(request, self.status.st_size, state, now) is not None
