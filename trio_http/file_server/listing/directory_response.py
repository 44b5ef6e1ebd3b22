"""Responses for directories: the index, a listing, or a redirect to the path with a slash."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from trio_http.file_server.beneath_root import OpenDirectory
from trio_http.file_server.listing.page import Entry, Uploads, as_json, page, policy
from trio_http.file_server.permissions import Permissions, is_shown
from trio_http.file_server.system_errors import refusing
from trio_http.semantics.field_values import choose_media_type
from trio_http.semantics.headers import Headers
from trio_http.semantics.paths import path_of
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response

# The file that is sent in place of a listing.
INDEX = "index.html"

HTML, JSON = "text/html", "application/json"


def names_directory(request: Request) -> bool:
    """Return whether the path of the target ends with a slash, as a directory's does.

    The path within a mount does not tell: it is a slash in any case. But relative links on a
    page whose path has no slash would lead elsewhere.
    """
    return path_of(request.target).endswith("/")


def index_of(directory: OpenDirectory) -> os.stat_result | None:
    """Return the status of a directory's index, or None if there is none."""
    status = directory.status(INDEX)
    return status if status is not None and stat.S_ISREG(status.st_mode) else None


def path_with_slash(request: Request) -> str:
    """Return the location of a directory whose path lacks its final slash, as a relative reference.

    Relative, so that neither the start of the path nor a proxy can make it another site's.
    """
    path = path_of(request.target)
    query = f"?{request.query_string}" if request.query_string else ""
    return f"./{path.rpartition('/')[2]}/{query}"


def redirect_to(location: str) -> Response:
    """Return a redirect to the path with a slash, without which relative links lead elsewhere."""
    # One day the name may be a file's, and caches remember a 301 for ever.
    return Response.redirect(location, 301, headers={"Cache-Control": "no-cache"})


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a directory, and whether clients can change them."""

    segments: tuple[str, ...]
    entries: Sequence[Entry]
    uploads: Uploads


def listing_of(directory: OpenDirectory, segments: tuple[str, ...]) -> Listing:
    """Return the entries that clients can see; ``segments`` are the directory's path."""
    uploads = Uploads.ON if Permissions.WRITING in directory.allow else Uploads.OFF
    return Listing(segments, entries_of(directory), uploads)


def entries_of(directory: OpenDirectory) -> list[Entry]:
    """Return the files and directories in a directory that clients can see."""
    entries = []
    follow = Permissions.LINKS in directory.allow
    with directory.readable() as place, refusing(), os.scandir(place) as found:
        for entry in found:
            if not is_shown(entry.name, directory.allow):
                continue
            with suppress(OSError):  # it has been removed, or is a link to nothing
                status = entry.stat(follow_symlinks=follow)
                if stat.S_ISREG(status.st_mode):
                    entries.append(Entry(entry.name, status.st_size, status.st_mtime))
                elif stat.S_ISDIR(status.st_mode):
                    entries.append(Entry(entry.name, None, status.st_mtime))
    return entries


def listing_response(listing: Listing, accept: str | None) -> Response:
    """Return a listing as a page, or as JSON for a client that prefers it."""
    fields = [
        ("Vary", "Accept"),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    names, entries, uploads = listing.segments, listing.entries, listing.uploads
    if choose_media_type(accept, [HTML, JSON]) == JSON:
        media_type, text = JSON, as_json(names, entries)
    else:
        media_type, text = f"{HTML}; charset=utf-8", page(names, entries, uploads).html
        fields.append(("Content-Security-Policy", policy(uploads)))
    body = text.encode()
    # Most listings have not changed when they are requested again, and are not sent twice.
    fields += [("Content-Type", media_type), ("ETag", f'"{sha256(body).hexdigest()[:32]}"')]
    return Response(200, Headers(fields), body)
