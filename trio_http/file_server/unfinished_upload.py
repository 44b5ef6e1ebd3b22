"""Files that are being written, and that no reader sees before they are complete.

A partial file has no name (``O_TMPFILE``). It is in the directory of its target, and gets the
target's name in one step. If the upload ends before that, even by ``kill -9``, nothing is
left of it. Where a system has no such files, a file with a name of its own takes its place:
only its owner may read it. Whatever has such a name is locked for as long as it is in use, so that
``abandoned_parts`` can tell which are left over.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.durability import Durability
from trio_http.file_server.kept_attributes import keep_attributes
from trio_http.file_server.locks import exclusive_access, lock
from trio_http.file_server.permissions import PART_PREFIX, PART_SUFFIX, check_name
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.versions import state_of, tag_of
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.digests import Verification
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.incoming_body import BodyPipe

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY

# How to open a file without a name, or 0 if that is not possible. It gets its name through
# /proc, which a container may lack.
_CAN_BE_UNNAMED = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").exists()
UNNAMED = os.O_WRONLY | os.O_TMPFILE | _BINARY if _CAN_BE_UNNAMED else 0

# The errors of a kernel or a file system without unnamed files, and of a directory that has
# been removed (EPERM).
_NOT_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.EPERM}

# Whether the system tells what this process may do, which can differ from its user's rights.
_CAN_ASK = os.access in os.supports_effective_ids


# Whether the times of an open file can be set, whatever its name.
TIMES = os.utime in os.supports_fd


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that has been stored, as its response may tell.

    Args:
        etag: the entity tag of the file, as the value of the header field ``ETag``.
        is_new: whether there was no file before: the difference between 201 and 204
            (RFC 9110 9.3.4).
    """

    etag: str
    is_new: bool


@contextmanager
def target_directory(root: Root, names: Sequence[str]) -> Iterator[OpenDirectory]:
    """Yield the directory of an upload, open as long as the block runs.

    ``HTTPError``: 404, with the reason, if it does not exist or clients may not see it.
    """
    try:
        directory = root.open(names)
    except HTTPError as error:
        if error.status != 404 or error.detail:
            raise
        detail = "the directory does not exist, and uploads do not create directories"
        raise HTTPError(404, detail) from None
    with closing(directory):
        yield directory


class PartialFile:
    """A file that is being written; leaving ``frame`` closes and removes it.

    All methods are for threads. There is no file before something is to be written.
    """

    def __init__(
        self, frame: ExitStack, root: Root, names: Sequence[str], preconditions: WritePreconditions
    ) -> None:
        *above, self._target = names
        self._frame = frame
        self._preconditions = preconditions
        self._verification = Verification(preconditions.digests)
        self.pipe: BodyPipe | None = None
        """The bytes in it come after those that are written."""
        self._part: str | None = None
        self._descriptor: int | None = None
        try:
            check_name(self._target, root.allow)
        except HTTPError as error:
            raise HTTPError(error.status, "no file can be stored under this name") from None
        self._durability = root.durability
        self._directory = frame.enter_context(target_directory(root, above))
        # Refuse before the client sends the content.
        self._there()
        self._check_access()

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append to the file."""
        file = self._file()
        with refusing():
            for piece in pieces:
                self._verification.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(file, rest) :]
            if self.pipe is not None:
                self.pipe.empty_into(file)

    def place(self) -> StoredFile:
        """Give the file the name of its target.

        ``BlockingIOError`` if the directory is locked: try again.
        """
        if not self._verification.holds():
            raise HTTPError(400, "the content is not what its digest says")
        file = self._file()
        if self._durability is Durability.SYSTEM:
            return self._place(file)
        # Before it replaces anything, because it may fail, and outside of the lock, because it
        # may take long. What changes later are a few bytes: the name, and the attributes.
        with refusing():
            os.fsync(file)
        stored = self._place(file)
        with refusing():
            os.fsync(file)
        self._directory.flush()
        return stored

    def _place(self, file: int) -> StoredFile:
        with refusing(), exclusive_access(self._directory):
            self._date(file)
            there = self._there()
            if there is None and self._part is None:
                if self._link(file, self._target):
                    return StoredFile(_tag(file), is_new=True)
                there = self._there()  # from a program that does not use the lock
            # Before it has a name by which others can open it.
            self._open_to_others(file, there)
            part = self._part or self._link_part(file)
            at, descriptor = self._directory.at, self._directory.descriptor
            os.replace(at(part), at(self._target), src_dir_fd=descriptor, dst_dir_fd=descriptor)
            return StoredFile(_tag(file), is_new=there is None)

    def _there(self) -> os.stat_result | None:
        return replaceable(self._directory, self._target, self._preconditions)

    def _check_access(self) -> None:
        """Refuse a directory without write permission; trying costs a hundred times as much."""
        directory, wanted = self._directory, os.W_OK | os.X_OK
        if _CAN_ASK:
            at = directory.path if directory.descriptor is None else "."
            if not os.access(at, wanted, dir_fd=directory.descriptor, effective_ids=True):
                raise HTTPError(403)

    def _open_to_others(self, file: int, there: os.stat_result | None) -> None:
        """Let all users read the file who could read the old one, or any new one."""
        if there is not None:
            keep_attributes(self._directory, self._target, file)
            return
        # Only its owner may read a named part. The umask and the directory decide who may read a
        # new file, so make one to find out.
        name, descriptor = self._make(0o666)
        try:
            keep_attributes(self._directory, name, file)
        finally:
            os.close(descriptor)
            self._remove(name)

    def _date(self, file: int) -> None:
        """Set the file's time to the nanosecond; kernels set it to a few milliseconds.

        Inodes are used again. Of three versions in quick succession, the third may have the inode
        of the first, and would then have its tag.
        """
        if TIMES:
            now = time.time_ns()
            os.utime(file, ns=(now, now))

    def _file(self) -> int:
        if self._descriptor is None:
            with refusing():
                self._descriptor = self._open()
        return self._descriptor

    def _open(self) -> int:
        directory = self._directory
        if UNNAMED and directory.descriptor is not None:
            try:
                descriptor = os.open(".", UNNAMED, 0o666, dir_fd=directory.descriptor)
            except OSError as error:
                if error.errno not in _NOT_UNNAMED:
                    raise
            else:
                self._frame.callback(os.close, descriptor)
                lock(descriptor)
                return descriptor
        self._part, descriptor = self._make(0o600)
        self._frame.callback(self._remove, self._part)
        self._frame.callback(os.close, descriptor)
        return descriptor

    def _make(self, mode: int) -> tuple[str, int]:
        """Make a file with a temporary name; return the name, and its descriptor, which is locked.

        A starting server may take the new file for an abandoned part until it is locked.
        """
        directory = self._directory
        while True:
            name = _new_name()
            descriptor = os.open(directory.at(name), _NAMED, mode, dir_fd=directory.descriptor)
            with ExitStack() as made:
                made.callback(self._remove, name)
                made.callback(os.close, descriptor)
                if lock(descriptor) is not False:
                    with suppress(FileNotFoundError):  # it was removed before it was locked
                        os.stat(directory.at(name), dir_fd=directory.descriptor)
                        made.pop_all()
                        return name, descriptor

    def _remove(self, part: str) -> None:
        with suppress(FileNotFoundError):  # it has got its name, or was removed
            os.unlink(self._directory.at(part), dir_fd=self._directory.descriptor)

    def _link(self, file: int, name: str) -> bool:
        source, target = f"/proc/self/fd/{file}", self._directory.at(name)
        try:
            os.link(source, target, dst_dir_fd=self._directory.descriptor)
        except FileExistsError:
            return False
        return True

    def _link_part(self, file: int) -> str:
        """Link the file to a temporary name, which can replace another one in one step."""
        part = _new_name()
        self._link(file, part)
        self._frame.callback(self._remove, part)
        return part


def _tag(file: int) -> str:
    """Return the tag that a GET will give the file, now that it has its name.

    A new name, mode, owner or attribute changes the status, and so the tag: none of these may
    change later.
    """
    return str(tag_of(os.fstat(file)))


def replaceable(
    directory: OpenDirectory, name: str, preconditions: WritePreconditions
) -> os.stat_result | None:
    """Return the status of a file that may be changed on these preconditions; None if it is new.

    Preconditions come last: a change that would fail without them fails for that reason
    (RFC 9110 13.2.1).
    """
    there = directory.own_status(name)
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise HTTPError(409, "there is something else of that name")
    if preconditions.depends and (there is not None or preconditions.method != "DELETE"):
        preconditions.check(state_of(there))
    return there


def _new_name() -> str:
    return f"{PART_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}"
