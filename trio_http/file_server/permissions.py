"""What clients may do with a served directory, and which names they can reach."""

from __future__ import annotations

import os
import re
from enum import Flag, auto

from trio_http.semantics.errors import HTTPError

_NO_NAMES = {"", ".", ".."}
_FORBIDDEN = re.compile(r"[/\0]" if os.name == "posix" else r'[/\0\\:*?"<>|]')

# Names of files that are not complete. By these, a later start knows which to remove.
PART_PREFIX, PART_SUFFIX = ".trio_http-", ".part"
PART_NAME = re.compile(re.escape(PART_PREFIX) + "[0-9a-f]{16}" + re.escape(PART_SUFFIX))
"""What uploads really call them. ``is_part`` is wider: it only hides, and hides all of a kind."""


class Permissions(Flag):
    """The rights of clients in a directory, besides fetching files whose names they know."""

    LISTING = auto()
    """See the entries of a directory that has no ``index.html``."""
    HIDDEN = auto()
    """See and reach names that begin with a dot."""
    LINKS = auto()
    """Follow links, wherever they lead."""
    PRECOMPRESSED = auto()
    """Get ``name.zst``, ``name.br`` or ``name.gz`` in place of ``name``, in that content coding.

    Such a sibling is decoded once, and must give the file byte for byte; ``.br`` and ``.zst``
    need the extra ``codings`` (``pip install ".[codings]"`` in a checkout). Neither file may
    have changed within the last two seconds.
    """
    WRITING = auto()
    """Store, replace and delete files, by PUT, DELETE and forms; directories stay as they are."""


NOTHING_MORE = Permissions(0)


def is_part(name: str) -> bool:
    """Return whether this is the name of an upload that is not complete."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def is_shown(name: str, allow: Permissions) -> bool:
    """Return whether clients can see an entry of this name."""
    return not is_part(name) and (not name.startswith(".") or Permissions.HIDDEN in allow)


def check_name(name: str, allow: Permissions) -> None:
    """Refuse, as not found, a name that is hidden, or that could mean another file than it says.

    So clients cannot tell a hidden name from one that does not exist.
    """
    if name in _NO_NAMES or _FORBIDDEN.search(name) or not is_shown(name, allow):
        raise HTTPError(404)
