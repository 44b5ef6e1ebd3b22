"""From a file that is open to the response that sends it."""

from __future__ import annotations

import time
from functools import lru_cache

from trio_http.file_server.found_file import Opened
from trio_http.file_server.media_types import ARCHIVES, UNKNOWN, Kind, attachment
from trio_http.file_server.versions import Version, modified_of, tag_of_version, version_of
from trio_http.semantics.bodies import Body, FileSlice
from trio_http.semantics.coding import IDENTITY, accepts
from trio_http.semantics.fields import http_date
from trio_http.semantics.headers import Headers
from trio_http.semantics.messages import Compress, Request, Response

# The header fields of a file take about a kilobyte.
REMEMBERED = 1024


class Manner:
    """How files are sent, whichever they are."""

    def __init__(self, compress: Compress, cache_control: str | None) -> None:
        self._compress = compress
        self._cache_control = cache_control
        # The fields of a file are the same until it is another, and so is the value.
        self._fields_of_version = lru_cache(maxsize=REMEMBERED)(self._fields)
        self._fields(Kind(UNKNOWN))  # what cannot be sent is refused now, and not with every file

    def response(self, request: Request, file: Opened) -> Response:
        """Return the response that sends a file, to be finished like any other.

        A format that is another one in a coding (``.svgz``) is sent as that, to
        be shown. To a client that refuses the coding, or saves the file, it is
        an archive. These are two representations of the same bytes, so their
        tags differ (RFC 9110 8.8.3.3).
        """
        kind, varies, of = file.place.kind, bool(file.place.siblings), ""
        is_saved = bool(request.query_string) and "download" in request.query
        if file.coding is not None:
            kind = Kind(kind.content_type, file.coding)
        elif kind.coding is not None:
            varies = not is_saved
            if is_saved or not accepts(request.headers.get("Accept-Encoding"), kind.coding):
                kind, of = Kind(ARCHIVES[kind.coding]), IDENTITY
        status = file.status
        body: Body
        if file.read is None:
            modified = modified_of(status, time.time())
            body = FileSlice(file.descriptor, 0, status.st_size)
            headers = self._fields_of_version(kind, varies, version_of(status), modified, of)
        else:
            # Its times say nothing of its content, so there is nothing to validate it by.
            headers, body = self._fields(kind, varies), file.read
        if is_saved:
            headers = headers.adding("Content-Disposition", attachment(file.place.name))
        return Response(200, headers, body, self._compress)

    def _fields(
        self,
        kind: Kind,
        varies: object = None,
        version: Version | None = None,
        modified: int = 0,
        of: str = "",
    ) -> Headers:
        fields = [("Content-Type", kind.content_type), ("X-Content-Type-Options", "nosniff")]
        if self._cache_control is not None:
            fields.append(("Cache-Control", self._cache_control))
        if version is not None:
            tag = tag_of_version(version)
            fields.append(("ETag", str(tag.coded(of) if of else tag)))
            fields.append(("Last-Modified", http_date(modified)))
        if kind.coding is not None:
            fields.append(("Content-Encoding", kind.coding))
        if varies:
            fields.append(("Vary", "Accept-Encoding"))
        return Headers(fields)
