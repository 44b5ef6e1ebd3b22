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
from trio_http.file_server.cache.digests_of_files import FileDigests
from trio_http.file_server.cache.held_open import HeldOpen, held_open
from trio_http.file_server.cache.recent import Recent
from trio_http.file_server.content_sniffing import Kinds
from trio_http.file_server.found_file import Opened, Place
from trio_http.file_server.listing.directory_response import (
    INDEX,
    index_of,
    is_folder,
    listing,
    moved,
)
from trio_http.file_server.lookup_pace import Pace
from trio_http.file_server.mounts import Mounts
from trio_http.file_server.partial_file import clear_parts
from trio_http.file_server.precompressed_siblings import Siblings
from trio_http.file_server.representation import Manner
from trio_http.file_server.retries import in_time
from trio_http.file_server.root import NOTHING_MORE, Directory, Folder, Permissions, refusing
from trio_http.file_server.versions import Version, version_of
from trio_http.file_server.virtual_files import read
from trio_http.file_server.write_methods import delete, put, take_form
from trio_http.http1.exchange import Exchange
from trio_http.http1.lifetime import Entries
from trio_http.semantics.coding import choose_coding
from trio_http.semantics.digests import Digest, wanted_algorithm
from trio_http.semantics.errors import HTTPError, not_allowed
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Compress, Request, Response
from trio_http.semantics.selection import may_be_coded, varying
from trio_http.transport.threads import Custody, close_in_thread

_READING = {"GET", "HEAD", "OPTIONS"}

# What the server's own limits are is not told here.
_ANY_LENGTH = Limits(compress=0)


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
    directory = Directory(Path(root), allow)
    if Permissions.WRITING in allow:
        clear_parts(directory.path)
    return FilesApp(directory, Kinds(media_type, charset), Manner(compress, cache_control))


class FilesApp:
    """The App; a directory, how its files are sent, and what is remembered of them."""

    def __init__(self, directory: Directory, kinds: Kinds, manner: Manner) -> None:
        self._directory = directory
        self._kinds = kinds
        self._manner = manner
        self._siblings = Siblings() if Permissions.PRECOMPRESSED in directory.allow else None
        self._digests = FileDigests()
        self._recent: Recent[Place] = Recent()
        self._held: HeldOpen | None = None  # but within a lifetime
        self._entries: Entries[Self] = Entries()
        self._mounts = Mounts()
        self._pace = Pace()

    async def __call__(self, exchange: Exchange) -> None:
        """Answer: this is an App, within a lifetime or without."""
        request = exchange.request
        match request.method:
            case "GET" | "HEAD":
                await self._send(exchange)
            case "OPTIONS":
                await exchange.respond(_options(request, self._methods(request)))
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
        if self._held is not None:  # it is within one already
            yield self
            return
        within = copy(self)
        try:
            async with held_open(self._directory) as within._held:  # noqa: SLF001 - one of these
                yield within
        finally:
            within._held = None  # noqa: SLF001 - as above

    def _methods(self, request: Request) -> set[str]:
        """The methods that an address of this kind supports."""
        if Permissions.WRITING not in self._directory.allow:
            return _READING
        return _READING | ({"POST"} if is_folder(request) else {"PUT", "DELETE"})

    async def _change(self, request: Request) -> Response:
        methods = self._methods(request)
        if request.method in methods:
            refuse_other_origins(request)
        match request.method:
            case "PUT" if "PUT" in methods:
                return await put(request, self._directory)
            case "DELETE" if "DELETE" in methods:
                return await delete(request, self._directory)
            case "POST" if "POST" in methods:
                return await take_form(request, self._directory)
            case "PUT" if "POST" in methods:
                raise HTTPError(409, "a name that ends with a slash is a folder's")
            case _:
                raise not_allowed(request.method, methods)

    async def _send(self, exchange: Exchange) -> None:
        request = exchange.request
        held, began = self._held, self._pace.begin()
        if held is not None and began is not None:
            kept = held.contents.get(request)
            if kept is not None:
                self._pace.end(began)
                with kept as known:
                    await exchange.respond(known)
                return
        place = None if began is None else self._recent.get(request.path)
        if began is not None and place is not None:
            found = self._look_again(request, place)
            self._pace.end(began)
            if found is not None:
                try:
                    # Asked for twice within a second.
                    response = self._manner.response(request, found)
                    if held is not None:
                        held.contents.note(request, found, response)
                    await self._respond(exchange, found, response)
                finally:
                    os.close(found.descriptor)
                return
        with Custody() as custody:
            looked_up = await self._look_up(request, custody)
            if isinstance(looked_up, Response):
                await exchange.respond(looked_up)
            else:
                response = self._manner.response(request, looked_up)
                await self._respond(exchange, looked_up, response)

    async def _respond(self, exchange: Exchange, found: Opened, response: Response) -> None:
        request = exchange.request
        if found.read is None and b"want-repr-digest" in request.headers.names:
            response = await self._digested(request, response, found)
        await exchange.respond(response)

    async def _look_up(self, request: Request, custody: Custody) -> Opened | Response:
        look_ups = self._directory.look_ups
        found = await in_time(lambda: custody.run(look_ups, self._find_for, request, custody))
        # Listings and the like have more to do than look up, and so has what was read.
        if isinstance(found, Opened) and found.is_local and found.read is None:
            self._recent.note(request.path, found.place)
        return found

    def _look_again(self, request: Request, place: Place) -> Opened | None:
        """The same, of what is in the kernel's memory for sure; None if it is not as it was."""
        # Of a mount, the address with a slash and that without have the same path.
        if request.path.endswith("/") and not is_folder(request):
            return None
        try:
            held = self._held
            if held is not None and (folder := held.folders.get(place.above)) is not None:
                return place.open_best(folder, request)
            with self._directory.folder(place.above) as folder:
                return place.open_best(folder, request)
        except (HTTPError, OSError):
            return None

    def _find_for(self, request: Request, custody: Custody) -> Opened | Response:
        """The same as ``_find``; what is opened is held by the custody."""
        found = self._find(request)
        if isinstance(found, Opened):
            close = os.close if found.is_local else close_in_thread
            custody.held.callback(close, found.descriptor)
        return found

    def _find(self, request: Request) -> Opened | Response:
        """What there is for a client; may have to wait for a disk."""
        *above, name = request.segments
        with self._directory.folder(above) as folder:
            if is_folder(request):
                return self._folder(folder, request)
            if name:  # it has none at the root of a mount
                status = folder.status(name)
                if status is None:
                    raise HTTPError(404)
                if stat.S_ISREG(status.st_mode):
                    return self._file(folder, name, request)
                if not stat.S_ISDIR(status.st_mode):
                    raise HTTPError(404)  # to open such a thing may do something
                above.append(name)
        with self._directory.folder(above) as folder:
            if Permissions.LISTING in folder.allow or index_of(folder) is not None:
                return moved(request)
            raise HTTPError(404)

    def _folder(self, folder: Folder, request: Request) -> Opened | Response:
        if index_of(folder) is not None:
            return self._file(folder, INDEX, request)
        if Permissions.LISTING in folder.allow:
            return listing(folder, request.segments[:-1], request.headers.get("Accept"))
        raise HTTPError(404)

    def _file(self, folder: Folder, name: str, request: Request) -> Opened:
        descriptor, status = folder.open(name)
        try:
            body = read(descriptor, status)
            with refusing():
                kind = self._kinds.of(name, (descriptor, status))
            siblings: Mapping[str, Version] = {}
            if self._siblings is not None and body is None and kind.coding is None:
                siblings = self._siblings.of(folder, name, (descriptor, status))
            place = Place(request.segments[:-1], name, version_of(status), kind, siblings)
            # Both: a link may lead from one file system to another.
            is_local = all(map(self._mounts.is_local, (folder.descriptor, descriptor)))
            found = Opened(place, descriptor, status, None, is_local, body)
            return found.or_sibling(folder, request)
        except BaseException:
            os.close(descriptor)
            raise

    async def _digested(self, request: Request, response: Response, file: Opened) -> Response:
        algorithm = wanted_algorithm(request.headers.get("Want-Repr-Digest"))
        if algorithm is None:
            return response
        digest = await self._digests.of(file.descriptor, file.status, algorithm)
        return response if digest is None else _digested(request, response, digest)


def _digested(request: Request, response: Response, digest: Digest) -> Response:
    """The response with a digest of its bytes, which are then sent as they are.

    Not so where the client refuses that: it gets other bytes, in a coding.
    """
    headers = response.headers.adding("Repr-Digest", str(digest))
    if not may_be_coded(response, _ANY_LENGTH):
        return response.with_headers(headers)
    if choose_coding(request.headers.get("Accept-Encoding"), ()) is None:
        return response
    headers = varying(headers, "Accept-Encoding")
    return Response(response.status, headers, response.body, Compress.NEVER)


def _options(request: Request, methods: set[str]) -> Response:
    if request.path == "*":
        return Response(204)  # about the server as a whole (RFC 9110 9.3.7)
    return Response(204, {"Allow": ", ".join(sorted(methods))})
