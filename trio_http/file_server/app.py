"""Files of a directory: to fetch and, where that is allowed, to list and to change."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Self

from trio_http.apps.cross_site import refuse_other_origins
from trio_http.file_server.cache.descriptor_caches import DescriptorCaches, descriptor_caches
from trio_http.file_server.cache.file_digests import FileDigests
from trio_http.file_server.content_sniffing import ContentSniffer
from trio_http.file_server.listing.directory_response import (
    Listing,
    listing_response,
    names_directory,
    redirect_to,
)
from trio_http.file_server.lookup import Lookup, Redirect, Refusal
from trio_http.file_server.lookup_pace import LookupPace
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.partial_file import StoredFile, remove_abandoned_parts
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.file_server.representation import Representations, with_digest
from trio_http.file_server.root import Root
from trio_http.file_server.write_methods import delete, put, store_content, take_form
from trio_http.http1.exchange import Exchange
from trio_http.http1.lifetime import Entries
from trio_http.semantics.digests import wanted_algorithm
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.messages import Request
from trio_http.semantics.methods import not_allowed, options_response
from trio_http.semantics.response import Compress, Response
from trio_http.transport.threads import Custody

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
        self._lookup = Lookup(root, sniffer)
        self._representations = representations
        self._digests = FileDigests()
        self._caches: DescriptorCaches | None = None  # but within a lifetime
        self._entries: Entries[Self] = Entries()
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

    async def store(self, request: Request, *names: str) -> StoredFile:
        """Store the content of a request as a file of this directory.

        For handlers of an app of your own; PUT needs none. The file has all of the content
        or is not changed at all: it replaces another in one step, and keeps its owner and
        permissions as far as the server may set them. Preconditions of the request
        (RFC 9110 13.1) and digests of its content (RFC 9530) are checked.

        Args:
            request: the request whose body becomes the file.
            names: the path of the file, name by name. All directories in it must exist.

        Returns:
            The entity tag of the file, and whether the file is new.

        Raises:
            HTTPError: 400 if the content is not what its digests say, 404 if a directory does
                not exist or the name cannot be stored, 409 if the name is that of something
                other than a regular file, 411 without a length, 412 if a precondition fails,
                413 if the content is too large, 415 for a content coding, 507 if the disk is
                full.
            RuntimeError: the directory was not opened with ``Permissions.WRITING``.
            ValueError: there are no names.
        """
        if Permissions.WRITING not in self._root.allow:
            raise RuntimeError("to store files, open them with files(…, allow=Permissions.WRITING)")
        if not names:
            raise ValueError("a file to be stored needs a name")
        return await store_content(request, self._root, names)

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
            if file is not None:
                await self._send_again(exchange, file)
                return
        with Custody() as custody:
            match await self._lookup.find(request, custody):
                case OpenFile() as file:
                    await self._send_file(exchange, file, self._representations.of(request, file))
                case Listing() as listing:
                    accept = request.headers.get("Accept")
                    # Ten thousand entries take 50 ms.
                    response = await self._root.lookups.run(listing_response, listing, accept)
                    await exchange.respond(response)
                case Redirect(location):
                    await exchange.respond(redirect_to(location))
                case Refusal(error):
                    raise error

    async def _send_again(self, exchange: Exchange, file: OpenFile) -> None:
        """Send a file that was requested within the last second, and close it."""
        request = exchange.request
        try:
            response = self._representations.of(request, file)
            if self._caches is not None:
                self._caches.small_files.note(request, file, response)
            await self._send_file(exchange, file, response)
        finally:
            os.close(file.descriptor)

    async def _send_file(self, exchange: Exchange, file: OpenFile, response: Response) -> None:
        request = exchange.request
        if file.read is None and b"want-repr-digest" in request.headers.names:
            response = await self._digested(request, response, file)
        await exchange.respond(response)

    async def _digested(self, request: Request, response: Response, file: OpenFile) -> Response:
        algorithm = wanted_algorithm(request.headers.get("Want-Repr-Digest"))
        if algorithm is None:
            return response
        digest = await self._digests.of(file.descriptor, file.status, algorithm)
        return response if digest is None else with_digest(request, response, digest)
