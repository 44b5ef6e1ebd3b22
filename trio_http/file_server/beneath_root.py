"""A served directory: opens the names below it, and nothing outside of it.

Names are opened one by one, each relative to the descriptor of the one before, without
following links. So neither ``..`` nor a link that is put in place between a check and its use
can lead elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trio_http.file_server.durability import Durability
from trio_http.file_server.permissions import NOTHING_MORE, Permissions, check_name
from trio_http.file_server.system_errors import refusing
from trio_http.semantics.errors import HTTPError
from trio_http.transport.threads import Threads

# Where a system cannot open relative to a descriptor (Windows), paths are checked and then
# opened: this is safe from requests, but not from other programs on the machine.
RELATIVE = os.open in os.supports_dir_fd

# The flags keep an open from waiting (a FIFO) or from having an effect (a tape), before it is
# known whether the name is that of a regular file.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_READ |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# Reaching an entry of a directory takes the right to search it, but not the right to list it.
_PASS = _FOLDER | getattr(os, "O_PATH", getattr(os, "O_SEARCH", 0))
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

# The errors of file systems that cannot force a directory to the disk.
_CANNOT_FLUSH = {errno.EINVAL, errno.EBADF}


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A directory below the root that is open; its entries are reached by name.

    Args:
        path: its path.
        allow: what clients may do.
        descriptor: None on a system that cannot open relative to one. It may be good only for
            reaching names, and not for reading the directory.
    """

    path: Path
    allow: Permissions
    descriptor: int | None

    def close(self) -> None:
        """Close the directory."""
        if self.descriptor is not None:
            os.close(self.descriptor)

    @contextmanager
    def readable(self) -> Iterator[int | Path]:
        """Yield the directory for functions of ``os`` that read or lock it.

        ``HTTPError`` 403 if it may be searched, but not read.
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

    def flush(self) -> None:
        """Force the names in the directory to the disk, if the file system can do that."""
        if self.descriptor is None:  # Windows cannot
            return
        with refusing():
            try:
                descriptor = os.open(".", _FOLDER, dir_fd=self.descriptor)
            except PermissionError:  # only what can be read can be forced on its own
                os.sync()
                return
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno not in _CANNOT_FLUSH:
                    raise
            finally:
                os.close(descriptor)

    def at(self, name: str) -> str | Path:
        """Return a name as functions of ``os`` take it, with ``descriptor`` as their ``dir_fd``."""
        return self.path / name if self.descriptor is None else name

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of what a client reaches by a name, or None if there is nothing."""
        return self._status(name, self.allow)

    def own_status(self, name: str) -> os.stat_result | None:
        """Return the same, but of a link itself: changes never follow links."""
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
        """Open a regular file to read; return its descriptor, which the caller closes, and status.

        ``HTTPError``: 404 if it is not a regular file, 403 if this process may not read it.
        """
        check_name(name, self.allow)
        with refusing():
            return self.reopen(name)

    def reopen(self, name: str) -> tuple[int, os.stat_result]:
        """Open a name that was open a moment ago; errors of the system are ``OSError``.

        ``BlockingIOError`` if another program has a lease, which the kernel has asked it to give
        back: try again.
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
class Root:
    """A directory that is served, and what clients may do with it."""

    path: Path
    allow: Permissions = NOTHING_MORE
    durability: Durability = Durability.SYSTEM
    # Changes may wait long for one another, and must not take the threads of lookups.
    lookups: Threads = field(default_factory=lambda: Threads("lookups", 40), compare=False)
    changes: Threads = field(default_factory=lambda: Threads("changes", 40), compare=False)

    @contextmanager
    def directory(self, names: Sequence[str] = ()) -> Iterator[OpenDirectory]:
        """Yield the directory with this path below the root, open as long as the block runs."""
        directory = self.open(names)
        try:
            yield directory
        finally:
            directory.close()

    def open(self, names: Sequence[str] = ()) -> OpenDirectory:
        """Open the directory with this path below the root; the caller closes it."""
        for name in names:
            check_name(name, self.allow)
        if not RELATIVE:
            return OpenDirectory(self._checked_path(names), self.allow, None)
        below = _PASS if Permissions.LINKS in self.allow else _PASS | _NO_LINK
        with refusing():
            descriptor = os.open(self.path, _PASS)
        try:
            for name in names:
                with refusing():
                    opened = os.open(name, below, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = opened
            return OpenDirectory(self.path.joinpath(*names), self.allow, descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def _checked_path(self, names: Sequence[str]) -> Path:
        path = self.path.joinpath(*names)
        with refusing():
            if Permissions.LINKS not in self.allow:
                # Unlike Path.resolve, realpath accepts links that lead to themselves.
                root = os.path.realpath(self.path)
                if Path(os.path.realpath(path)) != Path(root, *names):
                    raise HTTPError(404)
            if not stat.S_ISDIR(path.stat().st_mode):
                raise HTTPError(404)
        return path
