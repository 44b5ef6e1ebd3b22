"""Who may change what: locks that hold between threads as well as processes.

They bind only those who ask for them, and end with whoever has them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import ModuleType
from weakref import WeakValueDictionary

from trio_http.file_server.root import OpenDirectory
from trio_http.file_server.system_errors import refusing

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

# Seconds for which a thread waits until others of this process have made their changes.
# Each takes a fraction of a millisecond, unless a file system hangs.
TURN = 0.1

# Directories further up than that are not asked for.
_LEVELS = 16

_READ = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)

# The locks within this process, of those directories in which somebody is at work or waits.
_gates: WeakValueDictionary[tuple[int, int], Lock] = WeakValueDictionary()
_making_gates = Lock()


def lock(descriptor: int) -> bool:
    """Lock a file until it is closed; false where another has it locked.

    Windows has no such locks, but lets nobody remove a file that is open.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def exclusive_access(directory: OpenDirectory) -> Iterator[None]:
    """Change something in a folder while nobody else does who asks for the same lock.

    The lock is held no longer than such a change takes. This is for a thread, and
    raises ``BlockingIOError`` where the lock is not to be had now: threads must
    not wait for programs that hold it for ever.
    """
    with ExitStack() as held:
        with refusing():
            # Threads of this process take turns without the kernel, which has no turns.
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
        held.callback(os.close, descriptor)  # which unlocks it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return  # a file system without such locks


def _lockable(directory: int) -> int | None:
    """A folder, opened for reading; where that is forbidden, the next above it where it is not.

    So all servers of one user lock the same, in a directory that may be changed
    but not read as well (as with mode 0733).
    """
    name = "."
    for _ in range(_LEVELS):
        try:
            return os.open(name, _READ, dir_fd=directory)
        except PermissionError:
            name = f"../{name}"
    return None
