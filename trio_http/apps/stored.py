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
from contextlib import suppress
from dataclasses import dataclass

from trio_http.apps.directory import Folder
from trio_http.semantics.coding import choose_coding
from trio_http.semantics.conditional import MISSING, State
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.validators import ETag

# The best first, which is what a client gets that has no preference.
SUFFIXES = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}


def tag_of(status: os.stat_result) -> ETag:
    """A tag that is another whenever the bytes are.

    A file that is replaced has another inode. One that is written to in place
    has another time, to the nanosecond, or what the kernel makes of that: two
    changes within a few milliseconds that keep the length can look like one.
    """
    return ETag(f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}")


def modified_of(status: os.stat_result, now: float) -> int:
    """The second in which a file was last changed, but none to come (RFC 9110 8.8.2.1)."""
    return min(status.st_mtime_ns // 10**9, int(now))


def siblings_of(folder: Folder, name: str, status: os.stat_result) -> dict[str, os.stat_result]:
    """The codings in which there is a sibling of a file that may take its place."""
    found = {}
    for coding, suffix in SUFFIXES.items():
        with suppress(HTTPError):  # a name too long for its suffix; a link to itself
            sibling = folder.status(name + suffix)
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


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open to be sent; whoever has it closes its descriptor.

    ``coding`` is the one that its bytes are in already, if they are;
    ``varies`` tells that another client could have got another file.
    """

    name: str
    descriptor: int
    status: os.stat_result
    coding: str | None = None
    varies: bool = False


def best_of(folder: Folder, name: str, status: os.stat_result, accepted: str | None) -> Opened:
    """A file or that of its siblings which suits the client best, by ``Accept-Encoding``.

    What is there already is preferred to all that would have to be made.
    """
    siblings = siblings_of(folder, name, status)
    coding = choose_coding(accepted, siblings)
    if coding in siblings:
        with suppress(HTTPError):  # it is gone by now, or not ours to read
            return Opened(name, *folder.open(name + SUFFIXES[coding]), coding, varies=True)
    return Opened(name, *folder.open(name), varies=bool(siblings))
