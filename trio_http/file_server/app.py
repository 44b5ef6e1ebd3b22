"""The app that serves a directory: fetches its files and, if allowed, lists and changes them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Self

import trio

from trio_http.apps.cross_site import refuse_other_origins
from trio_http.file_server.abandoned_parts import remove_abandoned_parts
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache.descriptor_caches import DescriptorCaches, descriptor_caches
from trio_http.file_server.cache.file_digests import FileDigests
from trio_http.file_server.content_sniffing import ContentSniffer
from trio_http.file_server.durability import Durability
from trio_http.file_server.listing.directory_response import (
    Listing,
    listing_response,
    names_directory,
    redirect_to,
)
from trio_http.file_server.lookup import Lookup, Redirect
from trio_http.file_server.lookup_pace import LookupPace
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.file_server.representation import Representations, with_digest
from trio_http.file_server.unfinished_upload import StoredFile
from trio_http.file_server.write_methods import delete, put, store_content, take_form
from trio_http.http1.app_lifetime import Entries
from trio_http.http1.exchange import Exchange
from trio_http.semantics.digests import wanted_algorithm
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.methods import not_allowed, options_response
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.transport.threads import Custody

_READING = {"GET"}


def files(  # noqa: PLR0913 - one directory, and six choices of how to serve it
    root: str | os.PathLike[str],
    *,
    media_type: str | None = None,
    compress: Compress = Compress.WORTHWHILE,
    charset: str | None = None,
    cache_control: str | None = None,
    allow: Permissions = NOTHING_MORE,
    durability: Durability = Durability.SYSTEM,
) -> FilesApp:
    """Return an App that serves the files of a directory, and nothing outside of it.

    A directory's path ends with a slash; its response is the directory's ``index.html`` or, if
    allowed, a listing. A file is sent as it is at that moment. A file whose status does not
    tell its length (``/proc``, ``/sys``) is read first, up to a megabyte, and has no validators.

    Within the lifetime of the app, frequently requested files and directories are held open for
    up to a second. Servers enter the lifetime; an app of your own that calls
    ``await app(exchange)`` does so by ``async with files(root) as app``. Outside of a lifetime,
    nothing is held open. A moved directory, and a new precompressed sibling of a frequently
    requested file, may be noticed a second late.

    If clients may write, each lifetime begins with a search for parts of uploads that a killed
    server left in the directory or below it. It runs beside the requests, looks at up to 5000
    entries per second, and removes them.

    Args:
        root: the directory.
        media_type: the media type of every file (default: the one that its name suggests).
        compress: whether to compress responses for clients that accept it.
        charset: the charset of every text, or ``"none"`` to send none (default: UTF-8 for a
            text that is valid UTF-8 and declares no other charset; none for any other).
        cache_control: the value of ``Cache-Control`` for every file (default: no such field).
        allow: what clients may do besides fetching files whose names they know.
        durability: where a change is when the client is told of it. With ``Durability.DISK``, it
            has been forced to the disk, and if that fails, the client gets a 503 or 507.

    Raises:
        ValueError: a header field of ``media_type``, ``charset`` or ``cache_control`` cannot be
            sent, or ``allow`` has both ``WRITING`` and ``PRECOMPRESSED``: a client that stores
            ``a.gz`` would change what others get for ``a``.
    """
    if Permissions.WRITING in allow and Permissions.PRECOMPRESSED in allow:
        raise ValueError("precompressed files are not for a directory that clients can write to")
    return FilesApp(
        Root(Path(root), allow, durability),
        ContentSniffer(media_type, charset),
        Representations(compress, cache_control),
    )


class FilesApp:
    """The App that ``files`` returns."""

    def __init__(
        self, root: Root, sniffer: ContentSniffer, representations: Representations
    ) -> None:
        self._root = root
        self._lookup = Lookup(root, sniffer)
        self._representations = representations
        self._digests = FileDigests()
        self._caches: DescriptorCaches | None = None  # only within a lifetime
        self._entries: Entries[Self] = Entries()
        self._pace = LookupPace()

    async def __call__(self, exchange: Exchange) -> None:
        """Respond to a request, within a lifetime or without one."""
        request = exchange.request
        match request.method:
            case "GET" | "HEAD":
                await self._send(exchange)
            case "OPTIONS":
                await exchange.respond(options_response(request, self._methods(request)))
            case _:
                await exchange.respond(await self._change(request))

    async def store(self, request: Request, *names: str) -> StoredFile:
        """Store the content of a request as a file of this directory.

        Handlers of your own app need this; PUT does it by itself. The file either gets all of the
        content or does not change: the new file replaces another in one step, and keeps its owner
        and permissions as far as the server may set them. Preconditions of the request
        (RFC 9110 13.1) and digests of its content (RFC 9530) are checked.

        Args:
            request: the request whose body becomes the file.
            names: the path of the file, name by name. All directories in it must exist.

        Returns:
            The entity tag of the file, and whether the file is new.

        Raises:
            HTTPError: 400 if the content does not match its digests, 404 if a directory does not
                exist or the name cannot be stored, 409 if the name is that of something other than
                a regular file, 411 without a length, 412 if a precondition fails, 413 if the
                content is too large, 415 for a content coding, 507 if the disk is full.
            RuntimeError: the directory was not opened with ``Permissions.WRITING``.
            ValueError: there are no names.
        """
        if Permissions.WRITING not in self._root.allow:
            raise RuntimeError("to store files, open them with files(…, allow=Permissions.WRITING)")
        if not names:
            raise ValueError("a file to be stored needs a name")
        return await store_content(request, self._root, names)

    async def __aenter__(self) -> Self:
        """Begin a lifetime, and return the App that responds faster within it."""
        return await self._entries.enter(self._lifetime())

    async def __aexit__(self, *error: object) -> bool | None:
        """End the lifetime, and close whatever is held open."""
        return await self._entries.leave(*error)

    @asynccontextmanager
    async def _lifetime(self) -> AsyncIterator[Self]:
        if self._caches is not None:  # a lifetime has begun already
            yield self
            return
        within = copy(self)
        try:
            # For all that runs beside the requests: nothing of it is awaited at the end.
            async with trio.open_nursery() as nursery:
                within._caches = descriptor_caches(self._root, nursery)  # noqa: SLF001 - of the same class
                if Permissions.WRITING in self._root.allow:
                    nursery.start_soon(remove_abandoned_parts, self._root)
                yield within
                nursery.cancel_scope.cancel()
        finally:
            within._caches = None  # noqa: SLF001 - of the same class

    def _methods(self, request: Request) -> set[str]:
        """Return the methods that the target supports."""
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
        request, caches = exchange.request, self._caches
        began = self._pace.begin()
        if began is not None:
            if caches is not None and (cached := caches.small_files.get(request)) is not None:
                self._pace.end(began)
                with cached as response:
                    await exchange.respond(response)
                return
            directories = None if caches is None else caches.directories
            file = self._lookup.find_again(request, directories)
            self._pace.end(began)
            if file is not None:  # requested twice within a second
                try:
                    response = self._representations.of(request, file)
                    if caches is not None:
                        caches.small_files.note(request, file, response)
                    await self._send_file(exchange, file, response)
                finally:
                    os.close(file.descriptor)
                return
        with Custody() as custody:
            match await self._lookup.find(request, custody):
                case OpenFile() as file:
                    await self._send_file(exchange, file, self._representations.of(request, file))
                case Listing() as listing:
                    accept = request.headers.get("Accept")
                    # In a thread, because a page of ten thousand entries takes 50 ms.
                    response = await self._root.lookups.run(listing_response, listing, accept)
                    await exchange.respond(response)
                case Redirect(location):
                    await exchange.respond(redirect_to(location))
                case refusal:
                    raise refusal.error

    async def _send_file(self, exchange: Exchange, file: OpenFile, response: Response) -> None:
        request = exchange.request
        if file.read is None and b"want-repr-digest" in request.headers.names:
            response = await self._digested(request, response, file)
        await exchange.respond(response)

    async def _digested(self, request: Request, response: Response, file: OpenFile) -> Response:
        algorithm = wanted_algorithm(request.headers.get("Want-Repr-Digest"))
        if algorithm is None:
            return response
        shared = None if self._caches is None else self._caches.digests
        digest = await self._digests.of(file.descriptor, file.status, algorithm, shared)
        return response if digest is None else with_digest(request, response, digest)
