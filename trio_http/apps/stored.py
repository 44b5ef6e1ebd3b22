"""Stored files as representations: what tells their states apart, and in which codings they are.

Next to a file there may be the same in a content coding, made beforehand:
``name.zst``, ``name.br`` or ``name.gz``. It is sent in place of the file to
those who accept it, if it is at least as new. It has a tag and a date of its
own, because its bytes are others; ranges are of these.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from trio_http.apps.directory import Folder
from trio_http.semantics.coding import choose_coding
from trio_http.semantics.conditional import MISSING, State
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.validators import ETag

# The best first, which is what a client gets that has no preference.
SUFFIXES = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}

# A kernel tells times to a few milliseconds. A file that was changed a moment ago could be
# changed again without looking any newer, so it has to be older than this.
SETTLED = 100_000_000  # nanoseconds

Version: TypeAlias = tuple[int, int, int, int]
"""What tells one state of a file from another, as far as its status does.

Whatever is remembered of a file is remembered of a version, and of no less than that.
"""


def version_of(status: os.stat_result) -> Version:
    """Return the version of a file that has this status.

    The time of modification can be set to any value, as ``cp -p``, ``rsync -t``
    and ``touch -r`` do. The time of the last status change cannot: it is part
    of the version, although it is also another after a mere ``chmod``, a new
    hard link or a move. On Windows it is the time of creation instead, which
    adds nothing.
    """
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def is_settled(status: os.stat_result) -> bool:
    """Whether the next change of a file is sure to make another version of it."""
    return age_of(status) >= SETTLED


def age_of(status: os.stat_result) -> int:
    """Return the nanoseconds since the last change of a file that has this status."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)


def tag_of(status: os.stat_result) -> ETag:
    """The tag of a file that has this status."""
    return tag_of_version(version_of(status))


def tag_of_version(version: Version) -> ETag:
    """Return a tag that differs whenever the bytes differ.

    A file that is replaced has another inode. One that is written to in place
    has another time, to the nanosecond, or to the kernel's resolution: two
    changes within a few milliseconds that keep the length can look like one.
    """
    modified, size, inode, changed = version
    return ETag(f"{modified:x}-{size:x}-{inode:x}-{changed:x}")


def modified_of(status: os.stat_result, now: float) -> int:
    """The second in which a file was last changed, but none to come (RFC 9110 8.8.2.1)."""
    return min(status.st_mtime_ns // 10**9, int(now))


def siblings_of(
    folder: Folder, name: str, status: os.stat_result, codings: Iterable[str] = SUFFIXES
) -> dict[str, os.stat_result]:
    """Those of the codings in which there is a sibling of a file that may take its place."""
    found = {}
    for coding in codings:
        with suppress(HTTPError):  # a name too long for its suffix; a link to itself
            sibling = folder.status(name + SUFFIXES[coding])
            if (
                sibling is not None
                and stat.S_ISREG(sibling.st_mode)
                and sibling.st_mtime_ns >= status.st_mtime_ns
            ):
                found[coding] = sibling
    return found


def state_of(folder: Folder, name: str, status: os.stat_result | None) -> State:
    """What preconditions of a change are held against: a file, or that there is none.

    A client may know the file by the tag of any of its representations.
    """
    if status is None:
        return MISSING
    state = State.stored(tag_of(status), modified_of(status, time.time()))
    siblings = siblings_of(folder, name, status)
    return State((*state.tags, *map(tag_of, siblings.values())), state.modified)


# Not frozen, because that would cost more than to open a file.
@dataclass(slots=True)
class Opened:
    """A file that is open to be sent; whoever has it closes its descriptor.

    ``coding`` is the one that its bytes are in already, if they are;
    ``siblings`` are the codings in which another client could have got it. What
    ``is_local`` can be looked up again without asking another machine.
    """

    name: str
    descriptor: int
    status: os.stat_result
    coding: str | None = None
    siblings: tuple[str, ...] = ()
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file was found: the names of its folder, its own, and the siblings it had."""

    above: tuple[str, ...]
    name: str
    siblings: tuple[str, ...]

    def look_again(self, folder: Folder, accepted: str | None) -> Opened:
        """The best of what is there now; ``HTTPError`` or ``OSError`` where it is no more.

        What had no siblings is taken to have none still.
        """
        if not self.siblings:
            return Opened(self.name, *folder.reopen(self.name))
        status = folder.status(self.name)
        if status is None:
            raise HTTPError(404)
        siblings = siblings_of(folder, self.name, status, self.siblings)
        return best_of(folder, self.name, siblings, accepted)


def best_of(folder: Folder, name: str, siblings: Iterable[str], accepted: str | None) -> Opened:
    """A file or that of its siblings which suits the client best, by ``Accept-Encoding``.

    What is there already is preferred to all that would have to be made.
    """
    codings = tuple(siblings)
    if codings and (coding := choose_coding(accepted, codings)) in codings:
        with suppress(HTTPError):  # it is gone by now, or not ours to read
            return Opened(name, *folder.open(name + SUFFIXES[coding]), coding, codings)
    return Opened(name, *folder.open(name), siblings=codings)
