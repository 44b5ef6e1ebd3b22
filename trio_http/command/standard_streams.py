"""The standard streams of a program, which may be closed, full or unread."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress


def open_missing() -> None:
    """Open each of the descriptors 0 to 2 that is closed (``2>&-``) on the null device.

    Otherwise the next file or socket would get the number 2 and receive the text written to
    standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - it takes no keyword arguments


def tell(text: str) -> None:
    """Write a text to standard output and flush it.

    Raises:
        OSError: standard output is closed or cannot be written.
    """
    if sys.stdout is None:  # it was closed when Python started
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.write(text)
    sys.stdout.flush()


def drop_unwritable() -> None:
    """Drop buffered output that can no longer be written.

    When Python exits, it would try to write the output again and then change the exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:  # Python does not flush these at exit
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):  # the stream has no descriptor
                _lead_nowhere(stream.fileno())


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
