"""Responses with small files, sent again as long as the status of the file says the same version.

Asking for a status takes one system call. Opening the file, asking for its status, looking for
it in memory, and closing it takes five, and as much time again around them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

import trio

from trio_http.file_server.cache.expiring import ExpiringCache, after_a_second
from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.permissions import Permissions
from trio_http.file_server.versions import Version, is_settled, version_of
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.transport.page_cache import read_cached

# Bytes. Sending a longer file takes so long that the rest hardly shows.
LONGEST = 128 * 1024

# Bytes. From this size on, sending from the kernel's memory is faster than from Python's.
COPIED = 16 * 1024

# Per directory: bytes of content, and open files.
MOST = 4 * 1024 * 1024
MOST_OPEN = 32

# Bytes that an entry takes besides its content.
BESIDE = 2048


class CachedResponse:
    """The response with a file, the file's path, and the version that was read.

    ``with`` uses it. The file that it may hold open is closed after its time, as soon as no
    task uses it.
    """

    __slots__ = ("_is_over", "_users", "name", "response", "segments", "version")

    def __init__(
        self, segments: tuple[str, ...], name: str, version: Version, response: Response
    ) -> None:
        self.segments: tuple[str, ...] = segments
        self.name: str = name
        self.response: Response = response
        self.version: Version = version
        self._users = 0
        self._is_over = False

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes."""
        body = self.response.body
        return BESIDE + (len(body) if isinstance(body, bytes) else 0)

    def __enter__(self) -> Response:
        self._users += 1
        return self.response

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._is_over:
            self.end()

    def end(self) -> None:
        """Close the file as soon as no task is sending it."""
        self._is_over = True
        body = self.response.body
        if isinstance(body, FileSlice) and not self._users:
            with suppress(OSError):  # closing a file that was only read from loses nothing
                os.close(body.descriptor)


class SmallFiles:
    """The responses with small files that were requested within the last second.

    The status of each file is asked for before it is sent. So a file that was changed,
    replaced, removed or made unreadable is noticed at once.

    Args:
        directories: the directories of the files.
        allow: what clients may do with the directory that is served.
        nursery: runs the tasks that close files; cancelling it closes all.
    """

    def __init__(
        self, directories: OpenDirectories, allow: Permissions, nursery: trio.Nursery
    ) -> None:
        self._directories = directories
        self._follow = Permissions.LINKS in allow
        self._nursery = nursery
        self._recent: ExpiringCache[CachedResponse] = ExpiringCache(
            most=MOST, weigh=lambda cached: cached.weight
        )
        self._open = 0

    def get(self, request: Request) -> CachedResponse | None:
        """Return the response for a request that asks for nothing but a file."""
        cached = self._recent.get(request.path)
        if cached is None or not _asks_for_no_more(request):
            return None
        try:
            directory = self._directories.get(cached.segments)
            if directory is None:
                return None
            at, descriptor = directory.at(cached.name), directory.descriptor
            status = os.stat(at, dir_fd=descriptor, follow_symlinks=self._follow)
        except (HTTPError, OSError):
            return None  # it has changed, and the next lookup will tell how
        return cached if version_of(status) == cached.version else None

    def note(self, request: Request, file: OpenFile, response: Response) -> None:
        """Remember the response with an open file, if it is a small one.

        Not if other clients may get another representation, or if the disk would have to work; nor
        for an empty file, which may have content that its status does not tell.
        """
        status = file.status
        is_short = 0 < status.st_size <= LONGEST
        varies = file.metadata.siblings or file.metadata.file_type.coding
        if not is_short or varies or not is_settled(status):
            return
        if not _asks_for_no_more(request):
            return
        body: bytes | FileSlice | None
        body = read_cached(FileSlice(file.descriptor, 0, status.st_size), LONGEST)
        if body is not None and len(body) > COPIED:
            body = _duplicate(file) if self._open < MOST_OPEN else None
        if body is not None:
            whole = Response(response.status, response.headers, body, response.compress)
            cached = CachedResponse(
                file.metadata.segments, file.metadata.name, version_of(status), whole
            )
            self._recent.note(request.path, cached)
            if isinstance(body, FileSlice):
                self._open += 1
                release = partial(self._release, request.path, cached)
                self._nursery.start_soon(after_a_second, release)

    def _release(self, path: str, cached: CachedResponse) -> None:
        self._open -= 1
        self._recent.forget(path, cached)
        cached.end()


def _duplicate(file: OpenFile) -> FileSlice | None:
    """Return the whole of a file that is in memory, independent of the descriptor it is open by."""
    try:
        descriptor = os.dup(file.descriptor)
    except OSError:  # too many are open
        return None
    return FileSlice(descriptor, 0, file.status.st_size, at_hand=True)


def _asks_for_no_more(request: Request) -> bool:
    return (
        not request.query_string
        and not request.path.endswith("/")
        and b"want-repr-digest" not in request.headers.names
    )
