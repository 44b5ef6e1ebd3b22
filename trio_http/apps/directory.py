"""A directory that is served: names below it, and no way out of it.

Names are opened one component at a time, relative to the descriptor of the
one before, without following links. So neither ``..`` nor a link that
somebody puts in place between a check and its use can lead elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trio_http.semantics.errors import HTTPError

# Where a system cannot open relative to a descriptor (Windows), paths are
# checked and then opened: safe from requests, not from local rivals.
RELATIVE = os.open in os.supports_dir_fd

# Not regular files, but opening some of them would wait (a FIFO) or act (a tape).
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_BELOW = _FOLDER | getattr(os, "O_NOFOLLOW", 0)

# Files that are not there yet. The name tells a later start what it may clear away.
PART_PREFIX, PART_SUFFIX = ".trio_http-", ".part"


def is_part(name: str) -> bool:
    """Whether a name is one under which uploads are kept until they are whole."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def check_name(name: str) -> None:
    """Refuse, as not found, a component that could mean another file than it says."""
    forbidden = "/\0" if os.name == "posix" else '/\0\\:*?"<>|'
    if name in {"", ".", ".."} or any(mark in name for mark in forbidden) or is_part(name):
        raise HTTPError(404)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the system says of a name into what a client should hear."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case (
                errno.ENOENT
                | errno.ENOTDIR
                | errno.ELOOP  # a link, where none is followed
                | errno.ENAMETOOLONG
                | errno.EISDIR
                | errno.ENXIO  # a socket, or a device that is not there
                | errno.ENODEV
                | errno.EINVAL
            ):
                raise HTTPError(404) from error
            case errno.EACCES | errno.EPERM:
                raise HTTPError(403) from error
            case errno.EROFS:
                raise HTTPError(403, "nothing can be stored here") from error
            case errno.EFBIG:
                raise HTTPError(413, "larger than a file can be") from error
            case errno.EMFILE | errno.ENFILE:
                raise HTTPError(503, "too many open files") from error
            case errno.ENOSPC | errno.EDQUOT:
                raise HTTPError(507, "the disk is full") from error
            case _:
                raise
    except UnicodeEncodeError as error:  # no name in this file system's encoding
        raise HTTPError(404) from error


@contextmanager
def open_parent(root: Path, names: Sequence[str]) -> Iterator[int]:
    """A descriptor of the folder that holds the last of the names."""
    for name in names:
        check_name(name)
    with refusing():
        descriptor = os.open(root, _FOLDER)
    try:
        for name in names[:-1]:
            with refusing():
                below = os.open(name, _BELOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def checked_path(root: Path, names: Sequence[str]) -> Path:
    """The path of the names below the root, where there are no descriptors of folders."""
    for name in names:
        check_name(name)
    path = root.joinpath(*names)
    with refusing():
        # Unlike Path.resolve, realpath takes links that lead to themselves:
        # those are for whoever opens the path to find out.
        parent = Path(os.path.realpath(path.parent))
        if parent != Path(os.path.realpath(root), *names[:-1]) or path.is_symlink():
            raise HTTPError(404)
    return path


def open_regular(root: Path, names: Sequence[str]) -> tuple[int, os.stat_result]:
    """Open a regular file for reading: its descriptor, to be closed, and its status.

    ``HTTPError``: 404 for whatever is no regular file, 403 where the system
    does not allow it.
    """
    if RELATIVE:
        with open_parent(root, names) as parent, refusing():
            descriptor = os.open(names[-1], _READ, dir_fd=parent)
    else:
        path = checked_path(root, names)
        with refusing():
            descriptor = os.open(path, _READ)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise HTTPError(404)
    return descriptor, status
