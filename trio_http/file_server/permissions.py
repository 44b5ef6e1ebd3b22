"""What clients may do with a served directory, and which names they can reach."""

from __future__ import annotations

import os
import re
from enum import Flag, auto

from trio_http.semantics.errors import HTTPError

_NO_NAMES = {"", ".", ".."}
_FORBIDDEN = re.compile(r"[/\0]" if os.name == "posix" else r'[/\0\\:*?"<>|]')

# Files that are not there yet. The name tells a later start what it may clear away.
PART_PREFIX, PART_SUFFIX = ".trio_http-", ".part"


class Permissions(Flag):
    """What clients may do with a directory, other than fetch the files whose names they know."""

    LISTING = auto()
    """See what is in a folder that has no ``index.html``."""
    HIDDEN = auto()
    """See and reach names that begin with a dot."""
    LINKS = auto()
    """Follow links, wherever they lead."""
    PRECOMPRESSED = auto()
    """Get a file as ``name.zst``, ``name.br`` or ``name.gz``, made beforehand, where that is it.

    Such a sibling is decoded once, and has to be the file, byte for byte; those
    in br and zstd take the extra ``codings``. Neither may have changed within
    the last two seconds.
    """
    WRITING = auto()
    """Store, replace and delete files."""


NOTHING_MORE = Permissions(0)


def is_part(name: str) -> bool:
    """Whether a name is one under which uploads are kept until they are whole."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def is_shown(name: str, allow: Permissions) -> bool:
    """Whether what has this name, in a folder, is there for clients."""
    return not is_part(name) and (not name.startswith(".") or Permissions.HIDDEN in allow)


def check_name(name: str, allow: Permissions) -> None:
    """Refuse, as not found, a component that is not shown or could mean another file than it says.

    So nothing tells a name that is hidden from one that is not there.
    """
    if name in _NO_NAMES or _FORBIDDEN.search(name) or not is_shown(name, allow):
        raise HTTPError(404)
