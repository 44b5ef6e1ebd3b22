"""Files whose length lies: what a kernel makes of them while they are read (/proc, /sys).

Their status says that they are empty, or a page long, whatever there is to read.
Others can be like that, too, above all on file systems in user space.
"""

from __future__ import annotations

import os

from trio_http.semantics.bodies import Body, Send, Stream
from trio_http.semantics.errors import HTTPError
from trio_http.transport.page_cache import READS

# What is read before anything is sent, so that its length can be told.
READ = 1024 * 1024

# The largest page, which is what files below /sys say that they have.
_PAGE = 64 * 1024

_PIECE = 64 * 1024


def read(descriptor: int, status: os.stat_result) -> Body | None:
    """Return what there is in an open file, or None where its status tells its length.

    It may have to wait, in a worker thread. What has more to come some time,
    such as ``/proc/kmsg``, ends with what there is. ``HTTPError``: 503 for what
    cannot be read at all.
    """
    # Files of a page or less, like others, have blocks where there is a disk.
    if status.st_size and (status.st_size > _PAGE or _blocks(status)):
        return None
    try:
        start = _read_up_to(descriptor, READ)
    except OSError as error:  # there are many reasons, and all are the kernel's own
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
