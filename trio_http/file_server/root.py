"""A directory that is served: names below it, and no way out of it.

Names are opened one component at a time, relative to the descriptor of the
one before, without following links. So neither ``..`` nor a link that
somebody puts in place between a check and its use can lead elsewhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path
from types import TracebackType

from trio_http.semantics.errors import HTTPError
from trio_http.transport.threads import Threads

# Where a system cannot open relative to a descriptor (Windows), paths are
# checked and then opened: safe from requests, not from local rivals.
RELATIVE = os.open in os.supports_dir_fd

# Not regular files, but opening some of them would wait (a FIFO) or act (a tape).
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_READ |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# To reach what is in a directory takes the right to search it, not that to list it.
_PASS = _FOLDER | getattr(os, "O_PATH", getattr(os, "O_SEARCH", 0))
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_NO_NAMES = {"", ".", ".."}
_FORBIDDEN = re.compile(r"[/\0]" if os.name == "posix" else r'[/\0\\:*?"<>|]')

# Files that are not there yet. The name tells a later start what it may clear away.
PART_PREFIX, PART_SUFFIX = ".trio_http-", ".part"


class Permissions(Flag):
    """What clients may do with a directory, other than fetch the files whose names they know."""

    LISTING = auto()
    """See what is in a folder that has no ``index.html``."""
    HIDDEN = auto()
    """See and reach names that begin with a dot."""
    LINKS = auto()
    """Follow links, wherever they lead."""
    PRECOMPRESSED = auto()
    """Get a file as ``name.zst``, ``name.br`` or ``name.gz``, made beforehand, where that is it.

    Such a sibling is decoded once, and has to be the file, byte for byte; those
    in br and zstd take the extra ``codings``. Neither may have changed within
    the last two seconds.
    """
    WRITING = auto()
    """Store, replace and delete files."""


NOTHING_MORE = Permissions(0)


def is_part(name: str) -> bool:
    """Whether a name is one under which uploads are kept until they are whole."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def is_shown(name: str, allow: Permissions) -> bool:
    """Whether what has this name, in a folder, is there for clients."""
    return not is_part(name) and (not name.startswith(".") or Permissions.HIDDEN in allow)


def check_name(name: str, allow: Permissions) -> None:
    """Refuse, as not found, a component that is not shown or could mean another file than it says.

    So nothing tells a name that is hidden from one that is not there.
    """
    if name in _NO_NAMES or _FORBIDDEN.search(name) or not is_shown(name, allow):
        raise HTTPError(404)


class _Refusing:
    """Not made with ``@contextmanager``, which costs as much as a call to the system."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and (refusal := _refusal_of(error)) is not None:
            raise refusal from error


_REFUSING = _Refusing()


def refusing() -> _Refusing:
    """Turn what the system says of a name into what a client should hear."""
    return _REFUSING


_DETAILS = {errno.ENAMETOOLONG: "the name is longer than the file system allows"}


def _refusal_of(error: BaseException) -> HTTPError | None:
    if isinstance(error, UnicodeEncodeError):
        return HTTPError(404, "the name cannot be written in the encoding of the file system")
    if not isinstance(error, OSError):
        return None
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
            return HTTPError(404, _DETAILS.get(error.errno, ""))
        case errno.EACCES | errno.EPERM:
            return HTTPError(403)
        case errno.EROFS:
            return HTTPError(403, "nothing can be stored here")
        case errno.EFBIG:
            return HTTPError(413, "larger than a file can be")
        case errno.EMFILE | errno.ENFILE:
            return HTTPError(503, "too many open files")
        case errno.ENOSPC | errno.EDQUOT:
            return HTTPError(507, "the disk is full")
        case number if number in _UNAVAILABLE:
            return HTTPError(503, "the file system reports an error", {"Retry-After": "10"})
        case _:
            return None


# What a broken disk says, a server of files that cannot be reached or has forgotten what
# it served, a program (FUSE) that has ended, and a kernel without memory. Not every
# system knows all of it.
_UNAVAILABLE = {
    getattr(errno, name, None)
    for name in (
        *("EIO", "EBADMSG", "EUCLEAN", "EREMOTEIO", "ENOMEDIUM", "EMEDIUMTYPE", "EBUSY"),
        *("ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ENOTCONN", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "ESHUTDOWN", "ENOLINK"),
        *("ECOMM", "EPROTO", "EREMCHG", "ENOLCK", "ENOKEY", "EKEYEXPIRED", "ENOMEM"),
    )
}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is open: what is in it is reached by name, and nothing else is.

    ``descriptor`` is None where a system cannot open relative to one. It may be
    good for reaching names only, and not for reading the directory.
    """

    path: Path
    allow: Permissions
    descriptor: int | None

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor is not None:
            os.close(self.descriptor)

    @contextmanager
    def readable(self) -> Iterator[int | Path]:
        """The same folder, for functions of ``os`` that read or lock it.

        ``HTTPError`` 403 where it may be passed through, but not read.
        """
        if self.descriptor is None:
            yield self.path
            return
        with refusing():
            descriptor = os.open(".", _FOLDER, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def at(self, name: str) -> str | Path:
        """What functions of ``os`` call a name here, given ``descriptor`` as ``dir_fd``."""
        return self.path / name if self.descriptor is None else name

    def status(self, name: str) -> os.stat_result | None:
        """The status of what a client reaches by a name, or None where there is nothing."""
        return self._status(name, self.allow)

    def own_status(self, name: str) -> os.stat_result | None:
        """The same, but the status of a link itself: what is changed is never behind one."""
        return self._status(name, NOTHING_MORE)

    def _status(self, name: str, allow: Permissions) -> os.stat_result | None:
        check_name(name, self.allow)
        place, follow = self.at(name), Permissions.LINKS in allow
        with refusing():
            try:
                return os.stat(place, dir_fd=self.descriptor, follow_symlinks=follow)
            except FileNotFoundError:
                return None

    def open(self, name: str) -> tuple[int, os.stat_result]:
        """Open a regular file for reading: its descriptor, to be closed, and its status.

        ``HTTPError``: 404 for whatever is no regular file, 403 where the system
        does not allow it.
        """
        check_name(name, self.allow)
        with refusing():
            return self.reopen(name)

    def reopen(self, name: str) -> tuple[int, os.stat_result]:
        """The same for a name opened a moment ago; what the system says is an ``OSError``.

        ``BlockingIOError`` where another program has a lease, which it has been
        asked to give back: then try again.
        """
        place, flags = self.at(name), _READ
        if Permissions.LINKS not in self.allow:
            flags |= _NO_LINK
            if isinstance(place, Path) and place.is_symlink():  # Windows has no such flag
                raise HTTPError(404)
        descriptor = os.open(place, flags, dir_fd=self.descriptor)
        try:
            return descriptor, _status_of_file(descriptor)
        except BaseException:
            os.close(descriptor)
            raise


def _status_of_file(descriptor: int) -> os.stat_result:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise HTTPError(404)
    return status


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that is served, and what clients may do with it."""

    path: Path
    allow: Permissions = NOTHING_MORE
    # Changes can wait long for those of others, and must not keep threads from look-ups.
    look_ups: Threads = field(default_factory=lambda: Threads("look-ups", 40), compare=False)
    changes: Threads = field(default_factory=lambda: Threads("changes", 40), compare=False)

    @contextmanager
    def folder(self, names: Sequence[str] = ()) -> Iterator[Folder]:
        """The folder to which these names lead, open as long as the block runs."""
        folder = self.open(names)
        try:
            yield folder
        finally:
            folder.close()

    def open(self, names: Sequence[str] = ()) -> Folder:
        """The same, to be closed by whoever gets it."""
        for name in names:
            check_name(name, self.allow)
        if not RELATIVE:
            return Folder(self._checked_path(names), self.allow, None)
        below = _PASS if Permissions.LINKS in self.allow else _PASS | _NO_LINK
        with refusing():
            descriptor = os.open(self.path, _PASS)
        try:
            for name in names:
                with refusing():
                    opened = os.open(name, below, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = opened
            return Folder(self.path.joinpath(*names), self.allow, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def _checked_path(self, names: Sequence[str]) -> Path:
        path = self.path.joinpath(*names)
        with refusing():
            if Permissions.LINKS not in self.allow:
                # Unlike Path.resolve, realpath takes links that lead to themselves.
                root = os.path.realpath(self.path)
                if Path(os.path.realpath(path)) != Path(root, *names):
                    raise HTTPError(404)
            if not stat.S_ISDIR(path.stat().st_mode):
                raise HTTPError(404)
        return path
