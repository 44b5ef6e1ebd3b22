"""How the entries of a directory are shown: as a page for people, as JSON for programs.

Entries in, text out; only the parts of the page itself are read from files. All links are
relative, so the page works below any mount and proxy, as long as its own path ends with a
slash.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from html import escape
from string import Template
from urllib.parse import quote_from_bytes

from trio_http.semantics.field_values import second_of

# The name of the served directory itself is not shown to clients.
_ROOT_NAME = "Files"

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

_NUMBER = re.compile("[0-9]+")

# Control characters are shown by their pictures in Unicode or, if there is none, by the sign
# for characters that cannot be shown. So lines do not break, and nothing reverses letters to
# show a name that ends in "gpj.exe" as "exe.jpg".
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(
    [*range(0x80, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], 0xFFFD
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or, without a size, a directory; ``modified`` is in seconds since 1970."""

    name: str
    size: int | None
    modified: float


class Uploads(Enum):
    """The changes that clients can make from the page of a directory."""

    OFF = "it is only looked at"
    ON = "files can be added, replaced and deleted"


_STYLE = "listing.css"
_SCRIPTS = {Uploads.OFF: ["listing.js"], Uploads.ON: ["listing.js", "uploading.js"]}


@dataclass(frozen=True, slots=True)
class Page:
    """HTML, and the ``Content-Security-Policy`` that lets nothing else run."""

    html: str
    policy: str


def page(path: Sequence[str], entries: Sequence[Entry], uploads: Uploads = Uploads.OFF) -> Page:
    """Return the page of the directory with this path below the root."""
    name = escape(shown(path[-1]) if path else _ROOT_NAME)
    html = Template(_part("listing.html")).substitute(
        title=f"{name} · {_ROOT_NAME}" if path else name,
        style=_part(_STYLE),
        above=_above(path),
        name=name,
        uploading=_part("uploading.html") if uploads is Uploads.ON else "",
        summary=_summary(entries),
        listing=_table(path, entries, uploads) if entries else _nothing(path),
        scripts="".join([f"<script>{_part(script)}</script>\n" for script in _SCRIPTS[uploads]]),
    )
    return Page(html, policy(uploads))


@cache
def policy(uploads: Uploads) -> str:
    """Return what the page may do (CSP 3): use its scripts and styles, and send to its server."""
    directives = [
        "default-src 'none'",
        f"style-src {_digest(_part(_STYLE))}",
        f"script-src {' '.join([_digest(_part(script)) for script in _SCRIPTS[uploads]])}",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
    if uploads is Uploads.ON:
        directives.append("connect-src 'self'")
    return "; ".join(directives)


def as_json(path: Sequence[str], entries: Sequence[Entry]) -> str:
    """Return the entries as JSON: names as far as they are text, links that lead to any file.

    ``modified`` is to the second and in UTC, as in ``Last-Modified``.
    """
    document = {
        "path": [_text(_raw(name)) for name in path],
        "entries": [
            {
                "name": _text(_raw(entry.name)),
                "kind": "folder" if entry.size is None else "file",
                "size": entry.size,
                "modified": timestamp(entry.modified),
                "href": href(entry),
            }
            for entry in in_order(entries)
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Sort directories before files, then by name, regardless of case, and ``2`` before ``10``."""
    return sorted(entries, key=_rank)


def _rank(entry: Entry) -> tuple[bool, str, str]:
    folded = entry.name.casefold()
    return entry.size is not None, _NUMBER.sub(_padded, folded), entry.name


def _padded(number: re.Match[str]) -> str:
    return number[0].zfill(20)  # longer numbers are not meant to be compared


def href(entry: Entry) -> str:
    """Return a relative link; ``./`` keeps a colon in the name from ending a scheme."""
    return f"./{quote_from_bytes(_raw(entry.name), safe='')}{'/' if entry.size is None else ''}"


def shown(name: str) -> str:
    """Return a name as a readable line of text, which may be the same for two names."""
    text = _text(_raw(name))
    return text if text.isprintable() else text.translate(_PICTURES)


def _raw(name: str) -> bytes:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Windows has names that are neither text nor bytes. They are listed, and their links
        # find nothing.
        return name.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def readable_size(size: int) -> str:
    """Return a size in the largest unit of which it is at least one, as in ``1.5 KiB``."""
    if size < 1024:
        return f"{size} B"
    power = 1
    # Half a unit below the next: 1023.6 KiB would be rounded to 1024.
    while size >= (1024 - 0.5) * 1024**power and power < len(_UNITS):
        power += 1
    value = size / 1024**power
    return f"{value:.{0 if value >= 99.95 else 1}f} {_UNITS[power - 1]}"


def timestamp(modified: float) -> str:
    """Return a time in UTC by RFC 3339, to the second."""
    return second_of(modified).isoformat()[:19] + "Z"


def _above(path: Sequence[str]) -> str:
    if not path:
        return ""
    above = [_ROOT_NAME, *[shown(name) for name in path[:-1]]]
    links = [
        f'<li><a href="{"../" * (len(above) - depth)}"><bdi>{escape(name)}</bdi></a></li>\n'
        for depth, name in enumerate(above)
    ]
    return f'<nav aria-label="Folders above">\n<ol>\n{"".join(links)}</ol>\n</nav>\n'


def _nothing(path: Sequence[str]) -> str:
    back = f' <a href="../">{_PARENT}</a>' if path else ""
    return f'<p class="empty">This folder is empty.{back}</p>\n'


# The roles repeat what the elements are: browsers have been known to forget it once a style
# sheet lays a table out as something else, as this page's does.
def _table(path: Sequence[str], entries: Sequence[Entry], uploads: Uploads) -> str:
    is_on = uploads is Uploads.ON
    rows = "".join([_row(entry, uploads) for entry in in_order(entries)])
    return f"""\
<table role="table">
<caption class="unseen">Folders and files</caption>
<thead role="rowgroup">
<tr role="row">
{_HEADINGS}{_ACTION_HEADING if is_on else ""}</tr>
</thead>
{_PARENT_ROW.format(columns=4 if is_on else 3) if path else ""}\
<tbody id="entries" role="rowgroup">
{rows}</tbody>
</table>
"""


# Ten thousand of these take 50 ms, so whatever is added to one is added to each.
def _row(entry: Entry, uploads: Uploads) -> str:
    name = escape(shown(entry.name))
    size = entry.size
    time = timestamp(entry.modified)
    day, hour, exact = time[:10], time[11:16], time[11:19]
    data = button = action = ""
    if size is not None:
        data = f'<data value="{size}" title="{size:,} bytes">{readable_size(size)}</data>'
        button = f'<button type="button" aria-label="Delete {name}"></button>'
    if uploads is Uploads.ON:
        action = f'<td role="cell" class="action">{button}</td>'
    return (
        '<tr role="row"><th scope="row" role="rowheader">'
        f'<a href="{href(entry)}"><bdi>{name}</bdi></a></th>'
        f'<td role="cell">{data}</td>'
        f'<td role="cell"><time datetime="{time}" title="{day} {exact} UTC">'
        f"{day}<span> {hour}</span></time></td>"
        f"{action}</tr>\n"
    )


def _summary(entries: Sequence[Entry]) -> str:
    sizes = [entry.size for entry in entries if entry.size is not None]
    directories = len(entries) - len(sizes)
    parts = []
    if directories:
        parts.append(f"{directories:,} folder{'s' if directories > 1 else ''}")
    if sizes:
        total = sum(sizes)
        parts.append(f"{len(sizes):,} file{'s' if len(sizes) > 1 else ''}")
        parts.append(f'<data value="{total}" title="{total:,} bytes">{readable_size(total)}</data>')
    return " · ".join(parts)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _part(name: str) -> str:
    # Imported late: this takes longer than the rest of the package's start, and not every
    # server shows a directory. Read as text: before it checks a hash, a browser turns the line
    # endings of some systems into line feeds.
    from importlib.resources import files  # noqa: PLC0415

    return files(__package__).joinpath("listing_page", name).read_text("utf-8")


_PARENT = "Parent folder"
_PARENT_ROW = f"""\
<tbody role="rowgroup">
<tr role="row"><th scope="row" role="rowheader" colspan="{{columns}}">\
<a href="../">{_PARENT}</a></th></tr>
</tbody>
"""

_HEADINGS = """\
<th scope="col" role="columnheader" class="name" aria-sort="ascending">\
<button type="button" disabled>Name</button></th>
<th scope="col" role="columnheader" class="size">\
<button type="button" disabled>Size</button></th>
<th scope="col" role="columnheader" class="modified">\
<button type="button" disabled>Modified<small> UTC</small></button></th>
"""
_ACTION_HEADING = """\
<th scope="col" role="columnheader" class="action"><span class="unseen">Delete</span></th>
"""
