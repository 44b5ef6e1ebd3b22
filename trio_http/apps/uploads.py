"""Files that clients send: the old one or the new one is there, never a part of one.

What arrives is written to a file without a name (``O_TMPFILE``), in the folder
it is meant for, and gets its name in one step when it is whole. Whatever ends
an upload before that, ``kill -9`` included, leaves nothing behind. Where a
system has no such files, one with a name of its own takes the place; it is
locked as long as somebody writes, so ``clear_parts`` can tell what is left over.

The data is with the operating system when a client hears 201. It is not forced
to the disk (fsync): a failing machine may lose the last seconds, as with any
file that is copied there.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import AsyncIterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType

import trio

from trio_http.apps import directory
from trio_http.semantics.errors import HTTPError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

# Bytes gathered before a worker thread writes them: at 64 KiB the way there
# and back costs as much as the writing, at four times that it hardly shows.
GATHERED = 256 * 1024

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY

# How a file without a name is opened, or 0 where it cannot be. It will get its
# name by way of /proc, which a container may lack.
_CAN_BE_UNNAMED = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").exists()
UNNAMED = os.O_WRONLY | os.O_TMPFILE | _BINARY if _CAN_BE_UNNAMED else 0

# What a kernel or a file system answers that has no unnamed files.
_NOT_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}


async def store(body: AsyncIterable[bytes], root: Path, names: Sequence[str]) -> bool:
    """Store a body under the names below ``root``; whether there was no such file before.

    ``HTTPError``: 404 where there is no folder to hold it, 409 where something
    else than a regular file has its name, 507 where the disk is full. However
    it fails, what was there before is there still.
    """
    with ExitStack() as frame:
        part = await trio.to_thread.run_sync(_Part, frame, root, names)
        gathered: list[bytes] = []
        size = 0
        async for data in body:
            gathered.append(data)
            size += len(data)
            if size >= GATHERED:
                await trio.to_thread.run_sync(part.write, gathered)
                gathered, size = [], 0
        await trio.to_thread.run_sync(part.write, gathered)
        return await trio.to_thread.run_sync(part.place)


class _Part:
    """A file that is being written; leaving ``frame`` closes and removes it."""

    def __init__(self, frame: ExitStack, root: Path, names: Sequence[str]) -> None:
        self._frame = frame
        self._target = names[-1]
        self._folder: Path | None = None
        self._parent: int | None = None
        self._part: str | None = None
        with directory.refusing():
            if directory.RELATIVE:
                self._parent = frame.enter_context(directory.open_parent(root, names))
            else:
                self._folder = directory.checked_path(root, names).parent
            self._is_free()  # what cannot be stored is refused before it is sent
            self._descriptor = self._open()
        lock(self._descriptor)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append to the file."""
        with directory.refusing():
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]

    def place(self) -> bool:
        """Give the file the name that it is meant for; whether that was free."""
        with directory.refusing():
            if self._part is None and self._link(self._target):
                return True
            is_new = self._is_free()
            part = self._part or self._link_part()
            os.replace(
                self._path(part),
                self._path(self._target),
                src_dir_fd=self._parent,
                dst_dir_fd=self._parent,
            )
            return is_new

    def _path(self, name: str) -> str | Path:
        return name if self._folder is None else self._folder / name

    def _open(self) -> int:
        if UNNAMED and self._parent is not None:
            try:
                descriptor = os.open(".", UNNAMED, 0o666, dir_fd=self._parent)
            except OSError as error:
                if error.errno not in _NOT_UNNAMED:
                    raise
            else:
                self._frame.callback(os.close, descriptor)
                return descriptor
        part = _new_name()
        descriptor = os.open(self._path(part), _NAMED, 0o666, dir_fd=self._parent)
        self._part = part
        self._frame.callback(self._remove, part)
        self._frame.callback(os.close, descriptor)
        return descriptor

    def _remove(self, part: str) -> None:
        with suppress(FileNotFoundError):  # it has been placed
            os.unlink(self._path(part), dir_fd=self._parent)

    def _is_free(self) -> bool:
        try:
            there = os.stat(self._path(self._target), dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if not stat.S_ISREG(there.st_mode):
            raise HTTPError(409, "there is something else of that name")
        return False

    def _link(self, name: str) -> bool:
        try:
            os.link(f"/proc/self/fd/{self._descriptor}", name, dst_dir_fd=self._parent)
        except FileExistsError:
            return False
        return True

    def _link_part(self) -> str:
        """A name to be moved over another in one step, which linking cannot do."""
        part = _new_name()
        self._link(part)
        self._frame.callback(self._remove, part)
        return part


def _new_name() -> str:
    return f"{directory.PART_PREFIX}{secrets.token_hex(8)}{directory.PART_SUFFIX}"


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


def clear_parts(root: Path) -> None:
    """Remove what uploads have left in a folder whose server was killed."""
    with suppress(OSError):  # the folder is gone, or not ours to look into
        for entry in list(os.scandir(root)):
            if directory.is_part(entry.name) and entry.is_file(follow_symlinks=False):
                _clear(entry.path)


def _clear(path: str) -> None:
    with suppress(OSError):  # gone already, or not ours to remove; others may be
        descriptor = os.open(path, os.O_RDWR | _BINARY)
        try:
            abandoned = lock(descriptor)
        finally:
            os.close(descriptor)
        if abandoned:
            Path(path).unlink()
