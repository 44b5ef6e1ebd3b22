"""The three standard descriptors of a program, some of which may be missing."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress


def open_missing() -> None:
    """Open descriptors 0 to 2 on the null device where they are closed (``2>&-``).

    Otherwise the next file or socket that is opened gets the number 2, and receives what
    is written to the standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the library's own way to say it


def tell(text: str) -> None:
    """Write to the standard output.

    Raises:
        OSError: that is not possible.
    """
    if sys.stdout is None:  # it was closed when Python started
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.write(text)
    sys.stdout.flush()


def drop_unwritable() -> None:
    """Drop buffered output that can no longer be written.

    At its end Python would try once more to write it, and then exit with the status of a
    failure.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:  # Python does not try these, either
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):  # there is no descriptor below it
                _lead_nowhere(stream.fileno())


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
