"""Short files as they were a moment ago, while their status says that they are that still.

To ask for a file's status takes one call to the system; to open, measure, read and
close it takes four, and as much again around them.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from trio_http.apps.directory import Allow
from trio_http.apps.open_folders import OpenFolders
from trio_http.apps.recent import Recent
from trio_http.apps.stored import Opened, Version, version_of
from trio_http.http1.pages import read_cached
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.messages import Request, Response

# To send what is longer takes so long that the rest hardly shows.
LONGEST = 128 * 1024

# Bytes for a directory, and what each file takes beside its content.
MOST = 8 * 1024 * 1024
BESIDE = 2048

# The kernel tells times to a few milliseconds. What was changed a moment ago could be
# changed again without looking any newer, so it has to be older than this.
SETTLED = 100_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class _Content:
    """What was read of a file, where that is, and how it looked then."""

    above: tuple[str, ...]
    name: str
    look: tuple[Version, int]
    response: Response
    weight: int


class Contents:
    """The responses with what was read within the last second of short files.

    Each is looked at again before it is sent, so a file that is changed,
    replaced, removed, or may not be read any more is seen at once.
    """

    def __init__(self, folders: OpenFolders, allow: Allow) -> None:
        self._folders = folders
        self._follow = Allow.LINKS in allow
        self._recent: Recent[_Content] = Recent(most=MOST, weigh=lambda content: content.weight)

    def get(self, request: Request) -> Response | None:
        """The response to a request that asks for nothing but a file, if it is known."""
        content = self._recent.get(request.path)
        if content is None or not _asks_for_no_more(request):
            return None
        try:
            folder = self._folders.get(content.above)
            if folder is None:
                return None
            at, descriptor = folder.at(content.name), folder.descriptor
            status = os.stat(at, dir_fd=descriptor, follow_symlinks=self._follow)
        except (HTTPError, OSError):
            return None  # it is not as it was, which is for others to tell
        return content.response if _look_of(status) == content.look else None

    def note(
        self, request: Request, above: tuple[str, ...], file: Opened, response: Response
    ) -> None:
        """Keep the response with a file that has been opened for it, if it is a short one.

        Not so where others may get another file, or where the disk would have to work.
        """
        status = file.status
        is_short = status.st_size <= LONGEST and not file.siblings
        newest = max(status.st_mtime_ns, status.st_ctime_ns)
        if not is_short or time.time_ns() - newest < SETTLED or not _asks_for_no_more(request):
            return
        data = read_cached(FileSlice(file.descriptor, 0, status.st_size), LONGEST)
        if data is not None:
            whole = Response(response.status, response.headers, data, response.compress)
            weight = len(data) + BESIDE
            content = _Content(above, file.name, _look_of(status), whole, weight)
            self._recent.note(request.path, content)


def _asks_for_no_more(request: Request) -> bool:
    return (
        not request.query_string
        and not request.path.endswith("/")
        and b"want-repr-digest" not in request.headers.names
    )


def _look_of(status: os.stat_result) -> tuple[Version, int]:
    # Who may read it is no part of a file's version, but of how it looks.
    return version_of(status), status.st_ctime_ns
