"""Versions of files: what tells one from the next, for caches and, as validators, for clients."""

from __future__ import annotations

import os
import time
from typing import TypeAlias

from trio_http.semantics.conditional import MISSING, State
from trio_http.semantics.validators import ETag

# Kernels are exact to a few milliseconds. A file that changed a moment ago could change again
# without another time, so its last change must be longer ago than this.
SETTLED = 100_000_000  # nanoseconds

Version: TypeAlias = tuple[int, int, int, int]
"""What tells one version of the file at a path from the next, as far as its status does.

Whatever is remembered of a file is remembered of a version, and of nothing less.
"""


def version_of(status: os.stat_result) -> Version:
    """Return the version of a file with this status.

    The time of modification can be set to any value, as ``cp -p``, ``rsync -t`` and
    ``touch -r`` do. The time of the last status change cannot, so it is part of the version,
    although a mere ``chmod``, a new hard link or a move changes it. On Windows it is the time
    of creation instead, which adds nothing.
    """
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def is_unchanged(descriptor: int, status: os.stat_result) -> bool:
    """Return whether an open file is still the version with this status."""
    return version_of(os.fstat(descriptor)) == version_of(status)


def is_settled(status: os.stat_result) -> bool:
    """Return whether the next change of the file is sure to make another version."""
    return age_of(status) >= SETTLED


def age_of(status: os.stat_result) -> int:
    """Return the nanoseconds since the last change of a file with this status."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)


def tag_of(status: os.stat_result) -> ETag:
    """Return the entity tag of a file with this status."""
    return tag_of_version(version_of(status))


def tag_of_version(version: Version) -> ETag:
    """Return a tag that differs whenever the bytes differ.

    A file that replaces another has another inode. A file that is written in place has another
    time, exact to the kernel's resolution: two changes within a few milliseconds that keep the
    length can look like one.
    """
    modified, size, inode, changed = version
    return ETag(f"{modified:x}-{size:x}-{inode:x}-{changed:x}")


def modified_of(status: os.stat_result, now: float) -> int:
    """Return the second of the last change, but none in the future (RFC 9110 8.8.2.1)."""
    return min(status.st_mtime_ns // 10**9, int(now))


def state_of(status: os.stat_result | None) -> State:
    """Return the state that preconditions of a change are checked against; None for no file.

    A client may know the file by its tag in any content coding.
    """
    if status is None:
        return MISSING
    return State.stored(tag_of(status), modified_of(status, time.time()))
