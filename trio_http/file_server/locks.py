"""Locks directories and files against changes by other threads and processes.

They bind only programs that use the same locks, and end with the process that holds them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import ModuleType
from weakref import WeakValueDictionary

from trio_http.file_server.beneath_root import OpenDirectory
from trio_http.file_server.system_errors import refusing

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

# Windows has no such locks, but does not let anyone remove an open file.
CAN_LOCK = fcntl is not None

# Seconds for which a thread waits for other threads of this process to make their changes.
# Each takes a fraction of a millisecond, unless a file system hangs.
TURN = 0.1

# Directories above this number of levels are not tried.
_LEVELS = 16

_READ = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# The locks within this process, of the directories that a thread is changing or waiting for.
_gates: WeakValueDictionary[tuple[int, int], Lock] = WeakValueDictionary()
_making_gates = Lock()


def lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed; return false if it is locked already.

    None on a file system without such locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def exclusive_access(directory: OpenDirectory) -> Iterator[None]:
    """Keep all others that use this lock from changing a directory, for as long as the block runs.

    The block should do nothing but the change. This is for a thread, and raises
    ``BlockingIOError`` if the lock is taken: threads must not wait for a program that holds it
    for ever.
    """
    with ExitStack() as held:
        with refusing():
            # Threads of this process take turns without the kernel, which has no queue.
            gate = _gate_of(directory)
            if not gate.acquire(timeout=TURN):
                raise BlockingIOError(errno.EAGAIN, "this directory is being changed")
            held.callback(gate.release)
            if fcntl is not None and directory.descriptor is not None:
                _lock_directory(fcntl, directory.descriptor, held)
        yield


def _gate_of(directory: OpenDirectory) -> Lock:
    at = directory.descriptor
    status = directory.path.stat() if at is None else os.fstat(at)
    with _making_gates:
        return _gates.setdefault((status.st_dev, status.st_ino), Lock())


def _lock_directory(fcntl: ModuleType, directory: int, held: ExitStack) -> None:
    descriptor = _lockable(directory)
    if descriptor is not None:
        held.callback(os.close, descriptor)  # this unlocks it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return  # a file system without such locks


def _lockable(directory: int) -> int | None:
    """Open a directory for reading, or the next one above it that may be read.

    So all servers of one user lock the same directory, even if they may change it but not read
    it (mode 0733).
    """
    name = "."
    for _ in range(_LEVELS):
        try:
            return os.open(name, _READ, dir_fd=directory)
        except PermissionError:
            name = f"../{name}"
    return None
