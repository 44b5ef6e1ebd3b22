"""Files of a directory: to fetch and, where that is allowed, to list and to change."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Self

from trio_http.apps.cross_site import refuse_other_origins
from trio_http.file_server.cache.descriptor_caches import DescriptorCaches, descriptor_caches
from trio_http.file_server.cache.expiring import ExpiringCache
from trio_http.file_server.cache.file_digests import FileDigests
from trio_http.file_server.content_sniffing import ContentSniffer
from trio_http.file_server.listing.directory_response import (
    INDEX,
    index_of,
    listing_response,
    names_directory,
    redirect_to_directory,
)
from trio_http.file_server.lookup_pace import LookupPace
from trio_http.file_server.mounts import Mounts
from trio_http.file_server.open_file import FileMetadata, OpenFile
from trio_http.file_server.partial_file import remove_abandoned_parts
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.file_server.precompressed_siblings import PrecompressedSiblings
from trio_http.file_server.representation import Representations, with_digest
from trio_http.file_server.retries import in_time
from trio_http.file_server.root import OpenDirectory, Root
from trio_http.file_server.system_errors import refusing
from trio_http.file_server.versions import Version, version_of
from trio_http.file_server.virtual_files import read
from trio_http.file_server.write_methods import delete, put, take_form
from trio_http.http1.exchange import Exchange
from trio_http.http1.lifetime import Entries
from trio_http.semantics.digests import wanted_algorithm
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.messages import Compress, Request, Response
from trio_http.semantics.methods import not_allowed, options_response
from trio_http.transport.threads import Custody, close_in_thread

_READING = {"GET"}


def files(  # noqa: PLR0913 - one directory, and five ways in which it can be served
    root: str | os.PathLike[str],
    *,
    media_type: str | None = None,
    compress: Compress = Compress.WORTHWHILE,
    charset: str | None = None,
    cache_control: str | None = None,
    allow: Permissions = NOTHING_MORE,
) -> FilesApp:
    """An App that answers with the files of a directory, and with nothing outside of it.

    Every file has the media type that its name suggests, or ``media_type``, and
    the ``Cache-Control`` that is given. A text is said to be UTF-8 if it is, and
    if it does not declare something else. ``charset`` is said of all texts
    instead, whatever they are; with ``"none"``, nothing is. A directory's address
    ends with a slash, and is answered with its ``index.html``.

    Files are sent as they are at that moment; those whose status does not tell
    their length (``/proc``, ``/sys``) are read first, up to a megabyte, and have
    no validators. A directory that is moved, and a new sibling of a file that is
    asked for all the time, are noticed a second later.

    Without more being allowed, that is all. What else clients may do is said by
    ``allow``: see what a folder without an index holds (``LISTING``), reach
    names that begin with a dot (``HIDDEN``), follow links, wherever they lead
    (``LINKS``), get siblings made beforehand in place of a file
    (``PRECOMPRESSED``: ``name.gz``, ``name.br``, ``name.zst``), and store,
    replace and delete files (``WRITING``: PUT and DELETE of a file, a form sent
    to a folder; folders are neither made nor removed).

    What is asked for often is held open, for a second at most, within the lifetime of
    the app. That is entered by whatever serves it; ``async with files(root) as app`` does
    so for an app of your own that calls ``await app(exchange)``. Without that it holds
    nothing open.

    ``ValueError``: a field that cannot be sent, or both of ``WRITING`` and
    ``PRECOMPRESSED``: what a client stores would be taken for another file.
    """
    if Permissions.WRITING in allow and Permissions.PRECOMPRESSED in allow:
        raise ValueError("precompressed files are not for a directory that clients can write to")
    served = Root(Path(root), allow)
    if Permissions.WRITING in allow:
        remove_abandoned_parts(served.path)
    return FilesApp(
        served, ContentSniffer(media_type, charset), Representations(compress, cache_control)
    )


class FilesApp:
    """The App; a directory, how its files are sent, and what is remembered of them."""

    def __init__(
        self, root: Root, sniffer: ContentSniffer, representations: Representations
    ) -> None:
        self._root = root
        self._sniffer = sniffer
        self._representations = representations
        self._siblings = (
            PrecompressedSiblings() if Permissions.PRECOMPRESSED in root.allow else None
        )
        self._digests = FileDigests()
        self._recent: ExpiringCache[FileMetadata] = ExpiringCache()
        self._caches: DescriptorCaches | None = None  # but within a lifetime
        self._entries: Entries[Self] = Entries()
        self._mounts = Mounts()
        self._pace = LookupPace()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer: this is an App, within a lifetime or without."""
        request = exchange.request
        match request.method:
            case "GET" | "HEAD":
                await self._send(exchange)
            case "OPTIONS":
                await exchange.respond(options_response(request, self._methods(request)))
            case _:
                await exchange.respond(await self._change(request))

    async def __aenter__(self) -> Self:
        """Begin a lifetime; return the App that answers faster within it."""
        return await self._entries.enter(self._lifetime())

    async def __aexit__(self, *error: object) -> bool | None:
        """End the lifetime; nothing is held open any more."""
        return await self._entries.leave(*error)

    @asynccontextmanager
    async def _lifetime(self) -> AsyncIterator[Self]:
        if self._caches is not None:  # it is within one already
            yield self
            return
        within = copy(self)
        try:
            async with descriptor_caches(self._root) as within._caches:  # noqa: SLF001 - one of these
                yield within
        finally:
            within._caches = None  # noqa: SLF001 - as above

    def _methods(self, request: Request) -> set[str]:
        """The methods that an address of this kind supports."""
        if Permissions.WRITING not in self._root.allow:
            return _READING
        return _READING | ({"POST"} if names_directory(request) else {"PUT", "DELETE"})

    async def _change(self, request: Request) -> Response:
        methods = self._methods(request)
        if request.method in methods:
            refuse_other_origins(request)
        match request.method:
            case "PUT" if "PUT" in methods:
                return await put(request, self._root)
            case "DELETE" if "DELETE" in methods:
                return await delete(request, self._root)
            case "POST" if "POST" in methods:
                return await take_form(request, self._root)
            case "PUT" if "POST" in methods:
                raise HTTPError(409, "a name that ends with a slash is a folder's")
            case _:
                raise not_allowed(request.method, methods)

    async def _send(self, exchange: Exchange) -> None:
        request = exchange.request
        held, began = self._caches, self._pace.begin()
        if held is not None and began is not None:
            cached = held.small_files.get(request)
            if cached is not None:
                self._pace.end(began)
                with cached as known:
                    await exchange.respond(known)
                return
        metadata = None if began is None else self._recent.get(request.path)
        if began is not None and metadata is not None:
            found = self._look_again(request, metadata)
            self._pace.end(began)
            if found is not None:
                try:
                    # Asked for twice within a second.
                    response = self._representations.response(request, found)
                    if held is not None:
                        held.small_files.note(request, found, response)
                    await self._respond(exchange, found, response)
                finally:
                    os.close(found.descriptor)
                return
        with Custody() as custody:
            looked_up = await self._look_up(request, custody)
            if isinstance(looked_up, Response):
                await exchange.respond(looked_up)
            else:
                response = self._representations.response(request, looked_up)
                await self._respond(exchange, looked_up, response)

    async def _respond(self, exchange: Exchange, found: OpenFile, response: Response) -> None:
        request = exchange.request
        if found.read is None and b"want-repr-digest" in request.headers.names:
            response = await self._digested(request, response, found)
        await exchange.respond(response)

    async def _look_up(self, request: Request, custody: Custody) -> OpenFile | Response:
        look_ups = self._root.look_ups
        found = await in_time(lambda: custody.run(look_ups, self._find_for, request, custody))
        # Listings and the like have more to do than look up, and so has what was read.
        if isinstance(found, OpenFile) and found.is_local and found.read is None:
            self._recent.note(request.path, found.metadata)
        return found

    def _look_again(self, request: Request, metadata: FileMetadata) -> OpenFile | None:
        """The same, of what is in the kernel's memory for sure; None if it is not as it was."""
        # Of a mount, the address with a slash and that without have the same path.
        if request.path.endswith("/") and not names_directory(request):
            return None
        try:
            held = self._caches
            if (
                held is not None
                and (directory := held.directories.get(metadata.segments)) is not None
            ):
                return metadata.open_best(directory, request)
            with self._root.directory(metadata.segments) as directory:
                return metadata.open_best(directory, request)
        except (HTTPError, OSError):
            return None

    def _find_for(self, request: Request, custody: Custody) -> OpenFile | Response:
        """The same as ``_find``; what is opened is held by the custody."""
        found = self._find(request)
        if isinstance(found, OpenFile):
            close = os.close if found.is_local else close_in_thread
            custody.held.callback(close, found.descriptor)
        return found

    def _find(self, request: Request) -> OpenFile | Response:
        """What there is for a client; may have to wait for a disk."""
        *above, name = request.segments
        with self._root.directory(above) as directory:
            if names_directory(request):
                return self._directory(directory, request)
            if name:  # it has none at the root of a mount
                status = directory.status(name)
                if status is None:
                    raise HTTPError(404)
                if stat.S_ISREG(status.st_mode):
                    return self._file(directory, name, request)
                if not stat.S_ISDIR(status.st_mode):
                    raise HTTPError(404)  # to open such a thing may do something
                above.append(name)
        with self._root.directory(above) as directory:
            if Permissions.LISTING in directory.allow or index_of(directory) is not None:
                return redirect_to_directory(request)
            raise HTTPError(404)

    def _directory(self, directory: OpenDirectory, request: Request) -> OpenFile | Response:
        if index_of(directory) is not None:
            return self._file(directory, INDEX, request)
        if Permissions.LISTING in directory.allow:
            return listing_response(directory, request.segments[:-1], request.headers.get("Accept"))
        raise HTTPError(404)

    def _file(self, directory: OpenDirectory, name: str, request: Request) -> OpenFile:
        descriptor, status = directory.open(name)
        try:
            body = read(descriptor, status)
            with refusing():
                file_type = self._sniffer.of(name, (descriptor, status))
            siblings: Mapping[str, Version] = {}
            if self._siblings is not None and body is None and file_type.coding is None:
                siblings = self._siblings.of(directory, name, (descriptor, status))
            metadata = FileMetadata(
                request.segments[:-1], name, version_of(status), file_type, siblings
            )
            # Both: a link may lead from one file system to another.
            is_local = all(map(self._mounts.is_local, (directory.descriptor, descriptor)))
            found = OpenFile(metadata, descriptor, status, None, is_local, body)
            return found.or_sibling(directory, request)
        except BaseException:
            os.close(descriptor)
            raise

    async def _digested(self, request: Request, response: Response, file: OpenFile) -> Response:
        algorithm = wanted_algorithm(request.headers.get("Want-Repr-Digest"))
        if algorithm is None:
            return response
        digest = await self._digests.of(file.descriptor, file.status, algorithm)
        return response if digest is None else with_digest(request, response, digest)
