"""Stores uploads atomically: readers get the old file or the new one, never a part of one.

When a client gets its 201, the operating system has the data. Unless ``Durability`` says so, it
is not forced to the disk (fsync), so a failing machine may lose the last seconds, as with any
copied file.

Preconditions are checked twice. The first check, before the body is read, spares the client
from sending it (unless it is short). The second is at the moment of the change, under a lock
that keeps other servers and threads from changing anything in the same directory.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Sequence
from sys import getsizeof
from typing import TypeVar

from trio_http.file_server.beneath_root import Root
from trio_http.file_server.durability import Durability
from trio_http.file_server.locks import exclusive_access
from trio_http.file_server.retries import patiently
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.unfinished_upload import PartialFile, StoredFile, replaceable
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.incoming_body import OpenPipe, no_pipe
from trio_http.transport.threads import Custody

T = TypeVar("T")

# Bytes gathered before a thread writes them. At 64 KiB, switching to the thread and back costs
# as much as the writing; at eight times that, it hardly shows.
GATHERED = 512 * 1024

# Bytes of a body that a client sends without waiting for any response.
SHORT = 64 * 1024

UNCONDITIONAL = WritePreconditions("PUT")


async def store(
    body: AsyncIterable[bytes],
    root: Root,
    names: Sequence[str],
    preconditions: WritePreconditions = UNCONDITIONAL,
    open_pipe: OpenPipe = no_pipe,
) -> StoredFile:
    """Store a body as the file with this path.

    ``open_pipe`` is called once 64 KiB have arrived, for a faster way for the rest.

    ``HTTPError``: 400 if the body does not match its digests, 404 if the directory does not
    exist or no file can have this name, 409 if something other than a regular file has the
    name, 412 if a precondition fails, 507 if the disk is full. Whatever fails, the old file
    is still there, unless the name of the new one could not be forced to the disk (503).
    """
    upload = _Upload(root, names, preconditions, open_pipe)
    try:
        return await upload.take(body)
    except BaseException:
        await upload.give_up()
        raise


class _Upload:
    """The state of an upload in the event loop; threads do the rest, with its ``PartialFile``.

    Many clients are slow, and some on purpose. Until the first ``SHORT`` bytes have arrived, an
    upload holds nothing open but its directory.
    """

    def __init__(
        self,
        root: Root,
        names: Sequence[str],
        preconditions: WritePreconditions,
        open_pipe: OpenPipe,
    ) -> None:
        self._root = root
        self._names = names
        self._preconditions = preconditions
        self._open_pipe = open_pipe
        self._custody = Custody()
        self._part: PartialFile | None = None
        self._gathered: list[bytes] = []

    async def take(self, body: AsyncIterable[bytes]) -> StoredFile:
        if not _is_short(self._preconditions):
            await self._in_thread(self._begin)
        size, poured = 0, False
        async for data in body:
            self._gathered.append(data)
            size += getsizeof(data)  # many small pieces take more memory than their bytes
            if size >= SHORT and self._part is not None and not poured:
                poured = True
                await self._pour(self._part)
                size = size if self._gathered else 0
            if size >= GATHERED:
                await self._in_thread(self._write)
                size = 0
        return await patiently(lambda: self._in_thread(self._complete))

    async def _pour(self, part: PartialFile) -> None:
        """Store whatever the kernel can move by itself: all of the rest, a part of it, or nothing.

        The last bytes stay in the pipe, and are stored when the upload is completed.
        """
        pipe = None if self._preconditions.digests else self._open_pipe()
        if pipe is not None:
            self._custody.held.callback(pipe.close)
            part.pipe = pipe
            while await pipe.fill():
                await self._in_thread(self._write)

    async def give_up(self) -> None:
        await self._custody.aclose()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._custody.run(self._root.changes, work)

    # In threads

    def _begin(self) -> PartialFile:
        if self._part is None:
            self._part = PartialFile(
                self._custody.held, self._root, self._names, self._preconditions
            )
        return self._part

    def _write(self) -> PartialFile:
        part = self._begin()
        part.write(self._gathered)
        self._gathered = []
        return part

    def _complete(self) -> StoredFile:
        stored = self._write().place()
        self._custody.held.close()
        return stored


def _is_short(preconditions: WritePreconditions) -> bool:
    """Return whether the client sends the body at once, without waiting for a response.

    If so, a single switch to a thread and back is enough for the whole upload.
    """
    length = preconditions.headers.get("Content-Length")
    return length is not None and int(length) <= SHORT and "Expect" not in preconditions.headers


def remove(root: Root, names: Sequence[str], preconditions: WritePreconditions) -> None:
    """Delete a file, in a thread; ``HTTPError`` as with ``store``.

    ``BlockingIOError`` if the directory is locked: try again.
    """
    *above, name = names
    with root.directory(above) as directory:
        with exclusive_access(directory):
            if replaceable(directory, name, preconditions) is None:
                raise HTTPError(404)
            with refusing():
                os.unlink(directory.at(name), dir_fd=directory.descriptor)
        if root.durability is Durability.DISK:
            directory.flush()
