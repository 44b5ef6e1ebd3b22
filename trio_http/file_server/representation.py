"""Makes the response that sends an open file."""

from __future__ import annotations

import time
from functools import lru_cache

from trio_http.file_server.media_types import ARCHIVES, UNKNOWN, FileType, attachment
from trio_http.file_server.open_file import OpenFile
from trio_http.file_server.versions import Version, modified_of, tag_of_version, version_of
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, FileSlice
from trio_http.semantics.content_coding import IDENTITY, accepts, choose_coding
from trio_http.semantics.digests import Digest
from trio_http.semantics.field_values import http_date
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.response_selection import may_be_coded, varying

# The server's own behavior is not known to an app.
_ANY_LENGTH = Behavior(compress_min_size=0)

# The header fields of a file take about a kilobyte.
REMEMBERED = 1024


class Representations:
    """Makes responses with files, all in the same manner.

    Args:
        compress: whether to compress them for clients that accept it.
        cache_control: the value of ``Cache-Control``, if any.
    """

    def __init__(self, compress: Compress, cache_control: str | None) -> None:
        self._compress = compress
        self._cache_control = cache_control
        # A version of a file always has the same fields, and the same value gets them sent faster.
        self._fields_of_version = lru_cache(maxsize=REMEMBERED)(self._fields)
        self._fields(FileType(UNKNOWN))  # raises ``ValueError`` now rather than for each file

    def of(self, request: Request, file: OpenFile) -> Response:
        """Return the response with a file, before ranges and content codings are applied.

        A format that is another one in a content coding (``.svgz``) is sent in that coding, to be
        shown. A client that refuses the coding, or saves the file, gets an archive. These are two
        representations of the same bytes, so their tags differ (RFC 9110 8.8.3.3).
        """
        file_type, varies, of = file.metadata.file_type, bool(file.metadata.siblings), ""
        is_saved = bool(request.query_string) and "download" in request.query
        if file.coding is not None:
            file_type = FileType(file_type.content_type, file.coding)
        elif file_type.coding is not None:
            varies = not is_saved
            if is_saved or not accepts(request.headers.get("Accept-Encoding"), file_type.coding):
                file_type, of = FileType(ARCHIVES[file_type.coding]), IDENTITY
        status = file.status
        body: Body
        if file.read is None:
            modified = modified_of(status, time.time())
            body = FileSlice(file.descriptor, 0, status.st_size)
            headers = self._fields_of_version(file_type, varies, version_of(status), modified, of)
        else:
            # The times of such a file say nothing about its content, so it has no validators.
            headers, body = self._fields(file_type, varies), file.read
        if is_saved:
            headers = headers.adding("Content-Disposition", attachment(file.metadata.name))
        return Response(200, headers, body, self._compress)

    def _fields(
        self,
        file_type: FileType,
        varies: object = None,
        version: Version | None = None,
        modified: int = 0,
        of: str = "",
    ) -> Headers:
        fields = [("Content-Type", file_type.content_type), ("X-Content-Type-Options", "nosniff")]
        if self._cache_control is not None:
            fields.append(("Cache-Control", self._cache_control))
        if version is not None:
            tag = tag_of_version(version)
            fields.append(("ETag", str(tag.coded(of) if of else tag)))
            fields.append(("Last-Modified", http_date(modified)))
        if file_type.coding is not None:
            fields.append(("Content-Encoding", file_type.coding))
        if varies:
            fields.append(("Vary", "Accept-Encoding"))
        return Headers(fields)


def with_digest(request: Request, response: Response, digest: Digest) -> Response:
    """Return the response with a digest of its bytes, which are then sent without a coding.

    A client that refuses the identity coding gets other bytes, and no digest.
    """
    headers = response.headers.adding("Repr-Digest", str(digest))
    if not may_be_coded(response, _ANY_LENGTH):
        return response.replacing_headers(headers)
    if choose_coding(request.headers.get("Accept-Encoding"), ()) is None:
        return response
    headers = varying(headers, "Accept-Encoding")
    return Response(response.status, headers, response.body, Compress.NEVER)
