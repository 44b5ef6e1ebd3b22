"""Short files as they were a moment ago, while their status says that they are that still.

To ask for a file's status takes one call to the system; to open, measure, look for it
in memory and close it takes five, and as much again around them.
"""

from __future__ import annotations

import os
from contextlib import suppress

import trio

from trio_http.file_server.cache.expiring import ExpiringCache, after_a_second
from trio_http.file_server.cache.open_directories import OpenDirectories
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.permissions import Permissions
from trio_http.file_server.versions import Version, is_settled, version_of
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.messages import Request, Response
from trio_http.transport.page_cache import read_cached

# To send what is longer takes so long that the rest hardly shows.
LONGEST = 128 * 1024

# From here on, to send bytes from the kernel's memory costs less than from ours.
COPIED = 16 * 1024

# Of content, in bytes, and of open files: so much is kept of a directory.
MOST = 4 * 1024 * 1024
MOST_OPEN = 32

# What each takes beside its content.
BESIDE = 2048


class CachedResponse:
    """The response with a file, where that is, and which version of it was read.

    The file that it may hold open is closed when its time is over and nobody is
    within ``with``.
    """

    __slots__ = ("_is_over", "_users", "name", "response", "segments", "version")

    def __init__(
        self, segments: tuple[str, ...], name: str, version: Version, response: Response
    ) -> None:
        self.segments = segments
        self.name = name
        self.response = response
        self.version = version
        self._users = 0
        self._is_over = False

    @property
    def weight(self) -> int:
        """What it takes of our memory, in bytes."""
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
        """Keep the file open for nobody but those who are sending it."""
        self._is_over = True
        body = self.response.body
        if isinstance(body, FileSlice) and not self._users:
            with suppress(OSError):  # it was read from only
                os.close(body.descriptor)


class SmallFiles:
    """The responses with those short files that were asked for within the last second.

    Each is looked at again before it is sent, so a file that is changed,
    replaced, removed, or may not be read any more is seen at once.

    Args:
        folders: the directories that the files are in.
        allow: the permissions of the directory that is served.
        nursery: holds files open, and closes them when it is cancelled.
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
        """What is known of a request that asks for nothing but a file."""
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
            return None  # it is not as it was, which is for others to tell
        return cached if version_of(status) == cached.version else None

    def note(self, request: Request, file: OpenFile, response: Response) -> None:
        """Keep the response with a file that has been opened for it, if it is a short one.

        Not so where other clients may get another one, or where the disk would
        have to work, nor an empty file: that may have content without its status
        showing it.
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
                self._nursery.start_soon(
                    after_a_second, lambda: self._release(request.path, cached)
                )

    def _release(self, path: str, cached: CachedResponse) -> None:
        self._open -= 1
        self._recent.forget(path, cached)
        cached.end()


def _duplicate(file: OpenFile) -> FileSlice | None:
    """The whole of a file that is in memory, to be sent when whoever opened it has closed it."""
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
