"""Removes the files that uploads left behind when their server was killed.

They can be in any directory below the root. Searching all of these can take long, so a task
does it while requests are served: in a thread of its own, a few entries at a time. Each server
process does so when it starts, because another one may have searched a directory before the
part was left in it.

A file is removed only if it is certainly such a part: it has the name of one, it is a regular
file with this one name, it belongs to the user of this process (root takes it from others), and
no process has it locked.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator
from contextlib import suppress
from itertools import islice

import trio

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.locks import CAN_LOCK, lock
from trio_http.file_server.mounts import Mounts
from trio_http.file_server.permissions import PART_NAME, Permissions
from trio_http.semantics.errors import HTTPError
from trio_http.transport.threads import Custody, Threads

# Entries that a thread looks at before it pauses, which takes it half a millisecond, and the
# seconds of the pause: at most 5000 entries per second.
ENTRIES, PAUSE = 250, 0.05

# The pause is at least this number of times as long as the work: a slow disk is left to requests.
_RATIO = 9

# Seconds for which a part on a remote file system must not have changed. Its locks may be known
# to this machine only (NFS with ``local_lock``), so another machine may be writing the part.
UNCHANGED = 24 * 60 * 60

_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_CAREFUL |= getattr(os, "O_CLOEXEC", 0)

# A part may have the mode of the file that it was about to replace. NFS locks only what is open
# for writing.
_MODES = (os.O_RDWR, os.O_RDONLY, os.O_WRONLY)


async def remove_abandoned_parts(root: Root) -> None:
    """Remove abandoned parts from all directories below a root, and return when this is done.

    Links are not followed. Directories on remote file systems come last, because these may hang;
    then only this task waits for them.
    """
    threads = Threads("abandoned parts", 1)
    steps = _steps(Root(root.path, Permissions.HIDDEN))
    custody = Custody()
    custody.held.callback(steps.close)
    try:
        while True:
            seconds = await custody.run(threads, _advance, steps)
            if seconds is None:
                return
            await trio.sleep(max(PAUSE, _RATIO * seconds))
    finally:
        await custody.aclose()


def _advance(steps: Generator[None, None, None]) -> float | None:
    """Take some steps; return the seconds that they took, or None after the last."""
    began = time.monotonic()
    taken = sum(1 for _ in islice(steps, ENTRIES))
    return time.monotonic() - began if taken == ENTRIES else None


def _steps(root: Root) -> Generator[None, None, None]:
    """Yield after each directory and each entry; closing this closes what it has open."""
    mounts = Mounts()
    local: list[tuple[str, ...]] = [()]
    remote: list[tuple[str, ...]] = []
    while pending := local or remote:
        names = pending.pop()
        yield
        # It is gone, may not be read, or is not a directory any more.
        with suppress(OSError, HTTPError), root.directory(names) as directory:
            is_local = mounts.is_local(directory.descriptor)
            if pending is local and not is_local:
                remote.append(names)
                continue
            with directory.readable() as readable, os.scandir(readable) as entries:
                for entry in entries:
                    yield
                    if PART_NAME.fullmatch(entry.name):
                        _remove_if_abandoned(directory, entry.name, is_local)
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append((*names, entry.name))


def _remove_if_abandoned(directory: OpenDirectory, name: str, is_local: object) -> None:
    place, descriptor = directory.at(name), directory.descriptor
    with suppress(OSError):  # it is gone, or this process may not remove it
        status = os.stat(place, dir_fd=descriptor, follow_symlinks=False)
        if not _is_ours(status) or not (is_local or time.time() - status.st_mtime > UNCHANGED):
            return
        if not CAN_LOCK:  # an open file cannot be removed there
            os.unlink(place, dir_fd=descriptor)
            return
        part = _open(directory, name)
        try:
            # An upload that has just made the file finds out if it is removed before it is locked.
            if lock(part) and os.path.samestat(os.fstat(part), status):
                os.unlink(place, dir_fd=descriptor)
        finally:
            os.close(part)


def _is_ours(status: os.stat_result) -> bool:
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and user in {0, status.st_uid}


def _open(directory: OpenDirectory, name: str) -> int:
    *others, last = _MODES
    for mode in others:
        with suppress(PermissionError):
            return os.open(directory.at(name), mode | _CAREFUL, dir_fd=directory.descriptor)
    return os.open(directory.at(name), last | _CAREFUL, dir_fd=directory.descriptor)
