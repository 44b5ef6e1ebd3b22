"""Who may change what: locks that hold between threads as well as processes.

They bind only those who ask for them, and end with whoever has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import ModuleType

from trio_http.apps.directory import Folder

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

# Where there are no locks between processes, one change at a time within this one.
_WITHIN = Lock()


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
def alone_in(folder: Folder) -> Iterator[None]:
    """Change something in a folder while nobody else does who asks for the same lock.

    It is waited for, in a worker thread, but held no longer than such a change takes.
    """
    with ExitStack() as held:
        try:
            _lock_folder(folder, held)
        except OSError:  # a file system without such locks
            held.enter_context(_WITHIN)
        yield


def _lock_folder(folder: Folder, held: ExitStack) -> None:
    if fcntl is None or folder.descriptor is None:
        held.enter_context(_WITHIN)
    else:
        fcntl.flock(folder.descriptor, fcntl.LOCK_EX)
        held.callback(fcntl.flock, folder.descriptor, fcntl.LOCK_UN)
