"""Changes a directory for clients: PUT, DELETE, and forms with files."""

from __future__ import annotations

from collections.abc import Sequence

from trio_http.file_server.atomic_write import remove, store
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.listing.page import shown
from trio_http.file_server.retries import in_time, patiently
from trio_http.file_server.unfinished_upload import StoredFile, target_directory
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.conditional import State
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import media_type_of
from trio_http.semantics.form_field import FormField
from trio_http.semantics.forms import CHARSET_FIELD
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response

FORM = "multipart/form-data"

# Names of files in a response; a form may have a thousand.
_MOST_NAMED = 10

# A form never replaces a file: a page without a script cannot ask first. A page with a script
# asks, and then sends PUT.
_ONLY_NEW = WritePreconditions("PUT", Headers([("If-None-Match", "*")]))


async def store_content(request: Request, root: Root, names: Sequence[str]) -> StoredFile:
    """Store the content of a request as a file, under the preconditions of the request."""
    preconditions = WritePreconditions.of(request)
    return await store(request.body, root, names, preconditions, request.body.open_pipe)


async def put(request: Request, root: Root) -> Response:
    """Store the content as the file that the target names.

    201 if the file is new, 204 if it replaces another (RFC 9110 9.3.4).
    """
    stored = await store_content(request, root, request.segments)
    return Response(201 if stored.is_new else 204, {"ETag": stored.etag})


async def delete(request: Request, root: Root) -> Response:
    """Delete the file that the target names."""
    preconditions = WritePreconditions(request.method, request.headers)
    await patiently(lambda: root.changes.run(remove, root, request.segments, preconditions))
    return Response(204)


async def take_form(request: Request, root: Root) -> Response:
    """Store the files of a form in the directory that the target names; then show the directory.

    Existing files are kept, and a 409 names them after the others have been stored. A 400 names
    content without a file name. Every refusal in the middle of a form tells what was stored.
    """
    preconditions = WritePreconditions.of(request)
    if media_type_of(request.headers.get("Content-Type") or "") != FORM:
        raise HTTPError(415, "a form with files is expected", {"Accept": FORM})
    if preconditions.digests:
        raise HTTPError(400, "a form is stored as it comes; send a file by PUT to have it verified")
    form = request.form()
    names = request.segments[:-1]
    await in_time(lambda: root.lookups.run(_find, root, names))
    preconditions.check(State())
    outcome = _Outcome()
    try:
        async for field in form:
            await _take(field, root, names, outcome)
    except HTTPError as error:
        raise HTTPError(error.status, outcome.told(error.detail), error.headers) from error
    if outcome.refused:
        raise HTTPError(400, outcome.told())
    if outcome.kept:
        raise HTTPError(409, outcome.told())
    if not outcome.stored:
        raise HTTPError(400, "no file was chosen")
    return Response.redirect("./")


class _Outcome:
    """The results for the fields of a form: names, and reasons for not storing."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.kept: list[str] = []
        self.refused: list[str] = []

    def told(self, reason: str = "") -> str:
        """Return the outcome as a text; ``reason`` is why the form was not read to its end."""
        parts = [reason] if reason else []
        if self.refused:
            parts.append(_list_of(self.refused))
        if self.kept:
            parts.append(f"there already, and kept as it was: {_list_of(self.kept)}")
        parts.append(f"stored: {_list_of(self.stored)}" if self.stored else "nothing was stored")
        return "; ".join(parts)


def _list_of(items: Sequence[str]) -> str:
    more = len(items) - _MOST_NAMED
    return ", ".join(items[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


async def _take(field: FormField, root: Root, names: Sequence[str], outcome: _Outcome) -> None:
    """Store a field of a form, and record the outcome."""
    if not field.filename:
        # Browsers send an empty part where no file was chosen (HTML, "constructing the entry
        # list"), and the charset of the form in a part of its own.
        content = b"" if field.name == CHARSET_FIELD else await anext(field, b"")
        if content:
            outcome.refused.append(f"the field {_quoted(field.name)} has no file name")
        return
    # Some clients send the whole path, which must not be used (RFC 7578 4.2).
    name = field.filename.rpartition("/")[2]
    try:
        await store(field, root, [*names, name], _ONLY_NEW)
    except HTTPError as error:
        match error.status:
            case 404:  # the directory exists, so the name is the reason
                outcome.refused.append(f"{_quoted(field.filename)}: {error.detail}")
            case 409 | 412:
                outcome.kept.append(_quoted(field.filename))
            case _:
                raise
    else:
        outcome.stored.append(_quoted(name))


def _quoted(name: str) -> str:
    return f"“{shown(name)}”"


def _find(root: Root, names: Sequence[str]) -> None:
    with target_directory(root, names):
        pass  # it only has to exist
