"""Files that clients send: the old one or the new one is there, never a part of one.

The data is with the operating system when a client hears 201. It is not forced
to the disk (fsync): a failing machine may lose the last seconds, as with any
file that is copied there.

Preconditions are looked at twice: before a body is read, to spare the client
the sending (of all but a short one), and in the moment of the change, in which
no other server or thread that keeps to the same lock changes anything in that
folder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Sequence
from sys import getsizeof
from typing import TypeVar

from trio_http.file_server.locks import exclusive_access
from trio_http.file_server.partial_file import PartialFile, StoredFile, replaceable
from trio_http.file_server.retries import patiently
from trio_http.file_server.root import Root
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.incoming import OpenPipe, no_pipe
from trio_http.transport.threads import Custody

T = TypeVar("T")

# Bytes gathered before a worker thread writes them: at 64 KiB the way there and
# back costs as much as the writing, at eight times that it hardly shows.
GATHERED = 512 * 1024

# Bytes of a body that a client sends without waiting for what is said to it.
SHORT = 64 * 1024

UNCONDITIONAL = WritePreconditions("PUT")


async def store(
    body: AsyncIterable[bytes],
    root: Root,
    names: Sequence[str],
    preconditions: WritePreconditions = UNCONDITIONAL,
    open_pipe: OpenPipe = no_pipe,
) -> StoredFile:
    """Store a body as the file to which the names lead.

    ``open_pipe`` is called once 64 KiB have come, for a faster way for the rest.
    ``HTTPError``: 400 for a body that is not what its digests say, 404 where
    the directory does not exist or no file can have this name, 409 where something
    else than a regular file has its name, 412 by the terms, 507 where the disk is
    full. However it fails, what was there before is there still.
    """
    upload = _Upload(root, names, preconditions, open_pipe)
    try:
        return await upload.take(body)
    except BaseException:
        await upload.give_up()
        raise


class _Upload:
    """What is known of an upload in the event loop; threads do the rest, with its part.

    Many clients are slow, and some on purpose. Until the first ``SHORT`` bytes
    are there, an upload holds open nothing but its folder.
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
            size += getsizeof(data)  # many small pieces take more than their bytes
            if size >= SHORT and self._part is not None and not poured:
                poured = True
                await self._pour(self._part)
                size = size if self._gathered else 0
            if size >= GATHERED:
                await self._in_thread(self._write)
                size = 0
        return await patiently(lambda: self._in_thread(self._complete))

    async def _pour(self, part: PartialFile) -> None:
        """Store what the kernel can move by itself, which may be all of the rest or nothing.

        What comes last is left in the part's pipe, to be stored with the end.
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
    """Whether a body comes at once, whatever is said to it: it is sent before anybody looks.

    Then one way to a worker thread and back does for all that there is to be done.
    """
    length = preconditions.headers.get("Content-Length")
    return length is not None and int(length) <= SHORT and "Expect" not in preconditions.headers


def remove(root: Root, names: Sequence[str], preconditions: WritePreconditions) -> None:
    """Delete a file, in a thread; ``HTTPError`` as with ``store``.

    ``BlockingIOError`` where the folder is locked: try again then.
    """
    *above, name = names
    with root.directory(above) as directory, exclusive_access(directory):
        if replaceable(directory, name, preconditions) is None:
            raise HTTPError(404)
        with refusing():
            os.unlink(directory.at(name), dir_fd=directory.descriptor)
