"""Reads files whose status does not tell their length, such as those in /proc and /sys.

The kernel makes their content while they are read, and their status says that they are empty
or a page long. File systems in user space can have such files, too.
"""

from __future__ import annotations

import os

from trio_http.semantics.bodies import Body, Send, Stream
from trio_http.semantics.errors import HTTPError
from trio_http.transport.page_cache import READS

# Bytes that are read before the response, so that it can tell the length of shorter content.
READ = 1024 * 1024

# Bytes of the largest page; files below /sys claim to have a page.
_PAGE = 64 * 1024

_PIECE = 64 * 1024


def read(descriptor: int, status: os.stat_result) -> Body | None:
    """Return the content of an open file, or None if its status tells its length.

    This may wait, in a thread. A file that may have more content later, such as
    ``/proc/kmsg``, ends with the content it has now. ``HTTPError``: 503 if it cannot be read.
    """
    # On a disk, even a file of a page or less has blocks.
    if status.st_size and (status.st_size > _PAGE or _blocks(status)):
        return None
    try:
        start = _read_up_to(descriptor, READ)
    except OSError as error:  # for many reasons, which are the kernel's own
        raise HTTPError(503, "it cannot be read") from error
    if len(start) == status.st_size:
        return None
    return start if len(start) < READ else _rest_of(descriptor, start)


def _blocks(status: os.stat_result) -> int:
    return getattr(status, "st_blocks", 1)  # Windows does not tell


def _read_up_to(descriptor: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := _next_of(descriptor)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _next_of(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return b""


def _rest_of(descriptor: int, start: bytes) -> Stream:
    async def produce(send: Send) -> None:
        await send(start)
        while piece := await READS.run_with((descriptor,), _next_of):
            await send(piece)

    return Stream(produce)
