"""Reads parts of files: cached parts at once, the rest in threads, so that no task blocks."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial

from trio_http.semantics.bodies import FileSlice
from trio_http.transport.threads import Threads

# Large enough to make the cost per call negligible, small enough for a thousand at once.
PIECE = 64 * 1024

# The threads that wait for disks; as many as Trio's default limit for all threads.
READS = Threads("reads", 40)

# Linux can tell whether a read would have to wait for a disk.
CAN_TELL_CACHED = hasattr(os, "preadv") and hasattr(os, "RWF_NOWAIT")


def read_slice(descriptor: int, offset: int, size: int) -> bytes:
    """Return up to ``size`` bytes of a file from ``offset``; blocks while the disk works."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def read_cached(piece: FileSlice, longest: int = PIECE) -> bytes | None:
    """Return a part of a file if it is in the page cache, otherwise None.

    Also None for a part that is longer than ``longest`` bytes or known to be cached, which is
    sent without being read, and on systems that cannot tell.
    """
    if piece.at_hand or not CAN_TELL_CACHED or piece.length > longest:
        return None
    data = bytearray(piece.length)
    try:
        size = os.preadv(piece.descriptor, [data], piece.offset, os.RWF_NOWAIT)
    except OSError:  # not cached, or the file system does not support such reads
        return None
    return bytes(data) if size == piece.length else None


# A buffer for bytes that are only read to see whether they are cached.
_NOWHERE = [bytearray(1)]


def is_cached(piece: FileSlice) -> bool:
    """Return whether both ends of a part of a file are cached, and so most likely all of it."""
    if not CAN_TELL_CACHED:
        return False
    last = piece.offset + piece.length - 1
    try:
        # Reads one byte at each end; beyond the end of the file it reads none.
        return all(
            os.preadv(piece.descriptor, _NOWHERE, place, os.RWF_NOWAIT)
            for place in (piece.offset, last)
        )
    except OSError:
        return False


async def send_pieces(piece: FileSlice, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Read a part of a file in a worker thread, piece by piece, and send each piece.

    Raises:
        EOFError: the file has become shorter than the promised length.
    """
    offset, end = piece.offset, piece.offset + piece.length
    while offset < end:
        size = min(PIECE, end - offset)
        read = partial(read_slice, offset=offset, size=size)
        data = await READS.run_with((piece.descriptor,), read)
        if not data:
            raise EOFError("the file became shorter while it was being sent")
        await send(data)
        offset += len(data)
