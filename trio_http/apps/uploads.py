"""Files that clients send: the old one or the new one is there, never a part of one.

What arrives is written to a file without a name (``O_TMPFILE``), in the folder
it is meant for, and gets its name in one step when it is whole. Whatever ends
an upload before that, ``kill -9`` included, leaves nothing behind. Where a
system has no such files, one with a name of its own takes the place; it is
locked as long as somebody writes, so ``clear_parts`` can tell what is left over.

The data is with the operating system when a client hears 201. It is not forced
to the disk (fsync): a failing machine may lose the last seconds, as with any
file that is copied there.

Preconditions are looked at twice: before a body is read, to spare the client
the sending (of all but a short one), and in the moment of the change, in which
no other server or thread that keeps to the same lock changes anything in that
folder.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import AsyncIterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from sys import getsizeof

import trio

from trio_http.apps.directory import (
    PART_PREFIX,
    PART_SUFFIX,
    Directory,
    Folder,
    is_part,
    refusing,
)
from trio_http.apps.locks import alone_in, lock
from trio_http.apps.stored import state_of, tag_of
from trio_http.apps.terms import Terms
from trio_http.http1.body import RequestBody
from trio_http.http1.pipes import Pipe
from trio_http.semantics.digests import Verification
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.validators import ETag

# Bytes gathered before a worker thread writes them: at 64 KiB the way there and
# back costs as much as the writing, at eight times that it hardly shows.
GATHERED = 512 * 1024

# Bytes of a body that a client sends without waiting for what is said to it.
SHORT = 64 * 1024

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY

# How a file without a name is opened, or 0 where it cannot be. It will get its
# name by way of /proc, which a container may lack.
_CAN_BE_UNNAMED = hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").exists()
UNNAMED = os.O_WRONLY | os.O_TMPFILE | _BINARY if _CAN_BE_UNNAMED else 0

# What a kernel or a file system answers that has no unnamed files.
_NOT_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL}


# Whether an open file's times can be set, whatever its name.
TIMES = os.utime in os.supports_fd

UNCONDITIONAL = Terms("PUT")


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of an upload: the tag of the file, and whether there was none before."""

    tag: ETag
    is_new: bool


async def store(
    body: AsyncIterable[bytes],
    directory: Directory,
    names: Sequence[str],
    terms: Terms = UNCONDITIONAL,
) -> Stored:
    """Store a body as the file to which the names lead.

    ``HTTPError``: 400 for a body that is not what its digests say, 404 where
    there is no folder to hold it, 409 where something else than a regular file
    has its name, 412 by the terms, 507 where the disk is full. However it
    fails, what was there before is there still.
    """
    with ExitStack() as frame:
        part = None
        if not _is_short(terms):
            part = await trio.to_thread.run_sync(_Part, frame, directory, names, terms)
            if isinstance(body, RequestBody) and not terms.digests:
                await _pour(body, part, frame)
        gathered: list[bytes] = []
        size = 0
        async for data in body:
            gathered.append(data)
            size += getsizeof(data)  # many small pieces take more than their bytes
            if part is not None and size >= GATHERED:
                await trio.to_thread.run_sync(part.write, gathered)
                gathered, size = [], 0

        def complete() -> Stored:
            whole = part or _Part(frame, directory, names, terms)
            whole.write(gathered)
            stored = whole.place()
            frame.close()
            return stored

        return await trio.to_thread.run_sync(complete)


async def _pour(body: RequestBody, part: _Part, frame: ExitStack) -> None:
    """Store what the kernel can move by itself, which may be all of a body or nothing.

    What comes last is left in the part's pipe, to be stored with the end.
    """
    pipe = body.open_pipe()
    if pipe is not None:
        frame.callback(pipe.close)
        part.pipe = pipe
        while await body.receive_into(pipe) and not body.is_read:
            await trio.to_thread.run_sync(part.write, ())


def _is_short(terms: Terms) -> bool:
    """Whether a body comes at once, whatever is said to it: it is sent before anybody looks.

    Then one way to a worker thread and back does for all that there is to be done.
    """
    length = terms.headers.get("Content-Length")
    return length is not None and int(length) <= SHORT and "Expect" not in terms.headers


def remove(directory: Directory, names: Sequence[str], terms: Terms) -> None:
    """Delete a file, in a worker thread; ``HTTPError`` as with ``store``."""
    *above, name = names
    with directory.folder(above) as folder, alone_in(folder):
        if _replaceable(folder, name, terms) is None:
            raise HTTPError(404)
        with refusing():
            os.unlink(folder.at(name), dir_fd=folder.descriptor)


class _Part:
    """A file that is being written; leaving ``frame`` closes and removes it."""

    def __init__(
        self, frame: ExitStack, directory: Directory, names: Sequence[str], terms: Terms
    ) -> None:
        *above, self._target = names
        self._frame = frame
        self._terms = terms
        self._verification = Verification(terms.digests)
        self.pipe: Pipe | None = None
        """What it holds comes before all that is written."""
        self._part: str | None = None
        self._folder = frame.enter_context(directory.folder(above))
        self._there()  # what cannot be stored is refused before it is sent
        with refusing():
            self._descriptor = self._open()
        lock(self._descriptor)

    def write(self, pieces: Sequence[bytes]) -> None:
        """Append to the file."""
        with refusing():
            if self.pipe is not None:
                self.pipe.empty_into(self._descriptor)
            for piece in pieces:
                self._verification.update(piece)
                rest = memoryview(piece)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]

    def place(self) -> Stored:
        """Give the file the name that it is meant for."""
        if not self._verification.holds():
            raise HTTPError(400, "the content is not what its digest says")
        with refusing(), alone_in(self._folder):
            self._date()
            there = self._there()
            if there is None and self._part is None:
                if self._link(self._target):
                    return Stored(self._tag(), is_new=True)
                there = self._there()  # from somebody else, who has asked for no lock
            part = self._part or self._link_part()
            at, descriptor = self._folder.at, self._folder.descriptor
            os.replace(at(part), at(self._target), src_dir_fd=descriptor, dst_dir_fd=descriptor)
            return Stored(self._tag(), is_new=there is None)

    def _there(self) -> os.stat_result | None:
        return _replaceable(self._folder, self._target, self._terms)

    def _tag(self) -> ETag:
        """Return the tag that a GET will give the file, now that it has its name.

        A name, like a mode, an owner and an attribute, is a change of status,
        and so of the tag: nothing that changes any of these may come later.
        """
        return tag_of(os.fstat(self._descriptor))

    def _date(self) -> None:
        """Say to the nanosecond when this was: a kernel says it to a few milliseconds.

        Inodes are used again. The third of three versions that come quickly may
        have that of the first, and would then have its tag as well.
        """
        if TIMES:
            now = time.time_ns()
            os.utime(self._descriptor, ns=(now, now))

    def _open(self) -> int:
        folder = self._folder
        if UNNAMED and folder.descriptor is not None:
            try:
                descriptor = os.open(".", UNNAMED, 0o666, dir_fd=folder.descriptor)
            except OSError as error:
                if error.errno not in _NOT_UNNAMED:
                    raise
            else:
                self._frame.callback(os.close, descriptor)
                return descriptor
        part = _new_name()
        descriptor = os.open(folder.at(part), _NAMED, 0o666, dir_fd=folder.descriptor)
        self._part = part
        self._frame.callback(self._remove, part)
        self._frame.callback(os.close, descriptor)
        return descriptor

    def _remove(self, part: str) -> None:
        with suppress(FileNotFoundError):  # it has been placed
            os.unlink(self._folder.at(part), dir_fd=self._folder.descriptor)

    def _link(self, name: str) -> bool:
        source, target = f"/proc/self/fd/{self._descriptor}", self._folder.at(name)
        try:
            os.link(source, target, dst_dir_fd=self._folder.descriptor)
        except FileExistsError:
            return False
        return True

    def _link_part(self) -> str:
        """A name to be moved over another in one step, which linking cannot do."""
        part = _new_name()
        self._link(part)
        self._frame.callback(self._remove, part)
        return part


def _replaceable(folder: Folder, name: str, terms: Terms) -> os.stat_result | None:
    """The status of a file that may be changed on these terms, or None where there is none.

    Preconditions come last: what would be refused without them is refused for
    that reason (RFC 9110 13.2.1).
    """
    there = folder.own_status(name)
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise HTTPError(409, "there is something else of that name")
    if terms.depends and (there is not None or terms.method != "DELETE"):
        terms.check(state_of(folder, name, there))
    return there


def _new_name() -> str:
    return f"{PART_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}"


def clear_parts(root: Path) -> None:
    """Remove what uploads have left in a folder whose server was killed."""
    with suppress(OSError):  # the folder is gone, or not ours to look into
        for entry in list(os.scandir(root)):
            if is_part(entry.name) and entry.is_file(follow_symlinks=False):
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
