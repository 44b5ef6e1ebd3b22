"""The responses that report errors, in the format that the client prefers."""

from __future__ import annotations

import html
import json

from trio_http.semantics.errors import HTTPError, reason_of
from trio_http.semantics.field_values import choose_media_type
from trio_http.semantics.headers import Headers
from trio_http.semantics.response import Compress, Response

TEXT, HTML, PROBLEM = "text/plain", "text/html", "application/problem+json"

# The first is for clients that accept anything. ``application/json`` is for those that accept
# only that.
_OFFERED = {TEXT: TEXT, HTML: HTML, PROBLEM: PROBLEM, "application/json": PROBLEM}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<h1>{title}</h1>
{detail}</html>
"""


def error_response(error: HTTPError, accept: str | None = None) -> Response:
    """Return the response for an error: text, a page, or problem details (RFC 9457).

    ``accept``, the value of the request's ``Accept``, decides which.
    """
    chosen = choose_media_type(accept, _OFFERED) or TEXT
    title = f"{error.status} {reason_of(error.status)}".rstrip()
    # It may quote the client's bytes, even bytes that are not text.
    detail = error.detail.encode("utf-8", "replace").decode()
    match _OFFERED[chosen]:
        case "application/problem+json":
            media_type, text = PROBLEM, _problem(error.status, detail)
        case "text/html":
            paragraph = f"<p>{html.escape(detail)}</p>\n" if detail else ""
            media_type = "text/html; charset=utf-8"
            text = _PAGE.format(title=html.escape(title), detail=paragraph)
        case _:
            media_type = "text/plain; charset=utf-8"
            text = f"{title}: {detail}\n" if detail else f"{title}\n"
    # The text is generated above, so its Content-Type replaces any that the error brings.
    fields = Headers([("Content-Type", media_type)]).raw + error.headers.without("Content-Type").raw
    headers = Headers.received(fields).adding("Vary", "Accept")
    return Response(error.status, headers, text.encode(), Compress.NEVER)


def _problem(status: int, detail: str) -> str:
    members = {"status": status, "title": reason_of(status), "detail": detail}
    return json.dumps({name: value for name, value in members.items() if value}) + "\n"
