"""Versions of stored files: what tells them apart, for us and for clients."""

from __future__ import annotations

import os
import time
from typing import TypeAlias

from trio_http.semantics.conditional import MISSING, State
from trio_http.semantics.validators import ETag

# A kernel tells times to a few milliseconds. A file that was changed a moment ago could be
# changed again without looking any newer, so it has to be older than this.
SETTLED = 100_000_000  # nanoseconds

Version: TypeAlias = tuple[int, int, int, int, int]
"""What tells one state of a file from another, as far as its status does.

Whatever is remembered of a file is remembered of a version, and of no less than that.
"""


def version_of(status: os.stat_result) -> Version:
    """Return the version of a file that has this status.

    The time of modification can be set to any value, as ``cp -p``, ``rsync -t``
    and ``touch -r`` do. The time of the last status change cannot: it is part
    of the version, although it is also another after a mere ``chmod``, a new
    hard link or a move. On Windows it is the time of creation instead, which
    adds nothing.
    """
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def is_unchanged(descriptor: int, status: os.stat_result) -> bool:
    """Return whether an open file is still the version that had this status."""
    return version_of(os.fstat(descriptor)) == version_of(status)


def is_settled(status: os.stat_result) -> bool:
    """Whether the next change of a file is sure to make another version of it."""
    return age_of(status) >= SETTLED


def age_of(status: os.stat_result) -> int:
    """Return the nanoseconds since the last change of a file that has this status."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)


def tag_of(status: os.stat_result) -> ETag:
    """The tag of a file that has this status."""
    return tag_of_version(version_of(status))


def tag_of_version(version: Version) -> ETag:
    """Return a tag that differs whenever the bytes differ.

    A file that is replaced has another inode. One that is written to in place
    has another time, to the nanosecond, or to the kernel's resolution: two
    changes within a few milliseconds that keep the length can look like one.
    """
    _, inode, size, modified, changed = version
    return ETag(f"{modified:x}-{size:x}-{inode:x}-{changed:x}")


def modified_of(status: os.stat_result, now: float) -> int:
    """The second in which a file was last changed, but none to come (RFC 9110 8.8.2.1)."""
    return min(status.st_mtime_ns // 10**9, int(now))


def state_of(status: os.stat_result | None) -> State:
    """Return what preconditions of a change are held against: a file, or that there is none.

    A client may know the file by its tag in any coding.
    """
    if status is None:
        return MISSING
    return State.stored(tag_of(status), modified_of(status, time.time()))
