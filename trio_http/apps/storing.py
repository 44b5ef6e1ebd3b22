"""What clients may do to a directory that can be written to: PUT, DELETE, and forms of files."""

from __future__ import annotations

from collections.abc import Sequence

from trio_http.apps.directory import Directory
from trio_http.apps.listing import shown
from trio_http.apps.parts import target_directory
from trio_http.apps.patience import in_time, patiently
from trio_http.apps.terms import Terms
from trio_http.apps.uploads import remove, store
from trio_http.semantics.conditional import State
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import media_type_of
from trio_http.semantics.forms import Field
from trio_http.semantics.headers import Headers
from trio_http.semantics.messages import Request, Response

FORM = "multipart/form-data"

# What a form stores replaces nothing: it cannot ask, and nor could its page
# without a script. With one it sends PUT, and asks.
_ONLY_NEW = Terms("PUT", Headers([("If-None-Match", "*")]))


async def put(request: Request, directory: Directory) -> Response:
    """Store what a client sends: 201 for a file that is new, 204 for one that was replaced."""
    stored = await store(request.body, directory, request.segments, Terms.of(request))
    return Response(201 if stored.is_new else 204, {"ETag": str(stored.tag)})


async def delete(request: Request, directory: Directory) -> Response:
    """Delete the file that a client names."""
    terms = Terms(request.method, request.headers)
    await patiently(lambda: directory.changes.run(remove, directory, request.segments, terms))
    return Response(204)


async def take_form(request: Request, directory: Directory) -> Response:
    """Store the files of a form in the folder that it was sent to, then show the folder.

    Files that are there already are kept, and named in a 409 when the others
    have been stored.
    """
    terms = Terms.of(request)
    if media_type_of(request.headers.get("Content-Type") or "") != FORM:
        raise HTTPError(415, "a form with files is expected", {"Accept": FORM})
    if terms.digests:
        raise HTTPError(400, "a form is stored as it comes; send a file by PUT to have it verified")
    form = request.form()
    names = request.segments[:-1]
    await in_time(lambda: directory.look_ups.run(_find, directory, names))
    terms.check(State())
    stored, kept = 0, []
    async for field in form:
        if not field.filename:  # not a file, or none has been chosen
            continue
        if await _is_stored(field, directory, names):
            stored += 1
        else:
            kept.append(f"“{shown(field.filename)}”")
    if kept:
        raise HTTPError(409, f"there already, and kept as it was: {', '.join(kept)}")
    if not stored:
        raise HTTPError(400, "no file was chosen")
    return Response.redirect("./")


def _find(directory: Directory, names: Sequence[str]) -> None:
    with target_directory(directory, names):
        pass  # all that is asked is that there is one


async def _is_stored(field: Field, directory: Directory, names: Sequence[str]) -> bool:
    """Store a file of a form; false where there is one of that name."""
    # Some clients tell where it was, which is not to be used (RFC 7578 4.2).
    name = (field.filename or "").rpartition("/")[2]
    try:
        await store(field, directory, [*names, name], _ONLY_NEW)
    except HTTPError as error:
        match error.status:
            case 404:  # the folder is there: it is the name that cannot be
                raise HTTPError(400, f"no file can be called “{shown(name)}” here") from None
            case 409 | 412:
                return False
            case _:
                raise
    return True
