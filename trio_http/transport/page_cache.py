"""Parts of files: what is in memory is read at once, the rest without holding anybody up."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial

from trio_http.semantics.bodies import FileSlice
from trio_http.transport.threads import Threads

# Large enough that the cost per call vanishes, small enough for a thousand at once.
PIECE = 64 * 1024

# The threads that wait for disks; as many as Trio has for everything.
READS = Threads("reads", 40)

# Linux says whether a read would have to wait for a disk.
CAN_TELL_CACHED = hasattr(os, "preadv") and hasattr(os, "RWF_NOWAIT")


def read_slice(descriptor: int, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes of a file from ``offset``; blocks while the disk works."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


def read_cached(piece: FileSlice, longest: int = PIECE) -> bytes | None:
    """A part of a file that is in memory already, or None where the disk would have to work.

    None as well for what is longer than that, or can be sent without a look, and on
    systems that cannot tell.
    """
    if piece.at_hand or not CAN_TELL_CACHED or piece.length > longest:
        return None
    data = bytearray(piece.length)
    try:
        size = os.preadv(piece.descriptor, [data], piece.offset, os.RWF_NOWAIT)
    except OSError:  # not there, or a file system without such reads
        return None
    return bytes(data) if size == piece.length else None


# Where the bytes go of which only matters whether they are there.
_NOWHERE = [bytearray(1)]


def is_cached(piece: FileSlice) -> bool:
    """Whether both ends of a part of a file are in memory, and so most likely all of it."""
    if not CAN_TELL_CACHED:
        return False
    last = piece.offset + piece.length - 1
    try:
        # One byte of each; none is what there is beyond the end.
        return all(
            os.preadv(piece.descriptor, _NOWHERE, place, os.RWF_NOWAIT)
            for place in (piece.offset, last)
        )
    except OSError:
        return False


async def send_pieces(piece: FileSlice, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Read a part of a file in a worker thread, piece by piece, and pass each on.

    A file that has become shorter raises ``EOFError``: its length is promised.
    """
    offset, end = piece.offset, piece.offset + piece.length
    while offset < end:
        size = min(PIECE, end - offset)
        read = partial(read_slice, offset=offset, size=size)
        data = await READS.run_with((piece.descriptor,), read)
        if not data:
            raise EOFError("a file has become shorter while it was sent")
        await send(data)
        offset += len(data)
