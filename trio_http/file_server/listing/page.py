"""What a folder is shown as: a page for people, JSON for programs.

Entries in, text out; nothing is opened here but the parts of the page itself.
All links are relative, so that the page works below any mount and behind any
proxy, as long as its own address ends with a slash.
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

from trio_http.semantics.fields import second_of

# The folder that is served has a name of its own, which is nobody's business.
ROOT_NAME = "Files"

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

_NUMBER = re.compile("[0-9]+")

# Controls are shown by the pictures that Unicode has of them, or else by its sign
# for what cannot be shown: lines do not break, and nothing reverses the order of
# letters to make "exe.jpg" of what ends in "gpj.exe".
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(
    [*range(0x80, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], 0xFFFD
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or, where it has no size, a folder; ``modified`` counts from 1970."""

    name: str
    size: int | None
    modified: float


class Uploads(Enum):
    """Whether a folder can be changed from its page."""

    OFF = "it is only looked at"
    ON = "files can be added, replaced and deleted"


_STYLE = "listing.css"
_SCRIPTS = {Uploads.OFF: ["listing.js"], Uploads.ON: ["listing.js", "uploading.js"]}


@dataclass(frozen=True, slots=True)
class Page:
    """HTML, and the ``Content-Security-Policy`` under which nothing else would run."""

    html: str
    policy: str


def page(path: Sequence[str], entries: Sequence[Entry], uploads: Uploads = Uploads.OFF) -> Page:
    """The page of the folder that these names lead to; of the root, if there are none."""
    name = escape(shown(path[-1]) if path else ROOT_NAME)
    html = Template(_part("listing.html")).substitute(
        title=f"{name} · {ROOT_NAME}" if path else name,
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
    """What the page may do (CSP 3): run and look as it was sent, and talk to its server."""
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
    """The same as JSON: names as far as they are text, links that lead to any file.

    ``modified`` is to the second and in UTC, as ``Last-Modified`` has it.
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
    """Folders first, then by name: capitals count as small letters, ``2`` is before ``10``."""
    return sorted(entries, key=_rank)


def _rank(entry: Entry) -> tuple[bool, str, str]:
    folded = entry.name.casefold()
    return entry.size is not None, _NUMBER.sub(_padded, folded), entry.name


def _padded(number: re.Match[str]) -> str:
    return number[0].zfill(20)  # longer ones are no numbers that anybody compares


def href(entry: Entry) -> str:
    """A relative link; ``./`` keeps a colon in a name from making a scheme of what precedes it."""
    return f"./{quote_from_bytes(_raw(entry.name), safe='')}{'/' if entry.size is None else ''}"


def shown(name: str) -> str:
    """A name as a line of text that can be read, if not always told from another."""
    text = _text(_raw(name))
    return text if text.isprintable() else text.translate(_PICTURES)


def _raw(name: str) -> bytes:
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # Windows has names that are no text and no bytes either. They are
        # listed, and their link finds nothing.
        return name.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def readable_size(size: int) -> str:
    """A size in the largest unit of which it is at least one, as in ``1.5 KiB``."""
    if size < 1024:
        return f"{size} B"
    power = 1
    # Half a unit below the next: 1023.6 KiB would be rounded to 1024.
    while size >= (1024 - 0.5) * 1024**power and power < len(_UNITS):
        power += 1
    value = size / 1024**power
    return f"{value:.{0 if value >= 99.95 else 1}f} {_UNITS[power - 1]}"


def timestamp(modified: float) -> str:
    """A time in UTC as RFC 3339 has it, to the second."""
    return second_of(modified).isoformat()[:19] + "Z"


def _above(path: Sequence[str]) -> str:
    if not path:
        return ""
    above = [ROOT_NAME, *[shown(name) for name in path[:-1]]]
    links = [
        f'<li><a href="{"../" * (len(above) - depth)}"><bdi>{escape(name)}</bdi></a></li>\n'
        for depth, name in enumerate(above)
    ]
    return f'<nav aria-label="Folders above">\n<ol>\n{"".join(links)}</ol>\n</nav>\n'


def _nothing(path: Sequence[str]) -> str:
    back = f' <a href="../">{_PARENT}</a>' if path else ""
    return f'<p class="empty">This folder is empty.{back}</p>\n'


# The roles say what the elements are anyway: browsers have been known to forget
# it once a style sheet lays a table out as something else, as this page's does.
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


# Ten thousand of these take 50 ms: what is added here is added to each.
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
    # Imported here because it takes longer than all the rest of the package's
    # start, and not every server shows a folder. Read as text: a browser takes
    # the line endings of some systems for a line feed before it checks a hash.
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
