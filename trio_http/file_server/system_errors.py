"""Which HTTP status a client gets for an error of the operating system."""

from __future__ import annotations

import errno
from types import TracebackType

from trio_http.semantics.errors import HTTPError


class _Refusing:
    """Not made with ``@contextmanager``, which takes as long as a system call."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and (refusal := _refusal_of(error)) is not None:
            raise refusal from error


_REFUSING = _Refusing()


def refusing() -> _Refusing:
    """Turn errors of the operating system about a file into the ``HTTPError`` for the client."""
    return _REFUSING


_DETAILS = {errno.ENAMETOOLONG: "the name is longer than the file system allows"}


def _refusal_of(error: BaseException) -> HTTPError | None:
    if isinstance(error, UnicodeEncodeError):
        return HTTPError(404, "the name cannot be written in the encoding of the file system")
    if not isinstance(error, OSError):
        return None
    match error.errno:
        case (
            errno.ENOENT
            | errno.ENOTDIR
            | errno.ELOOP  # a link that is not followed
            | errno.ENAMETOOLONG
            | errno.EISDIR
            | errno.ENXIO  # a socket, or a missing device
            | errno.ENODEV
            | errno.EINVAL
        ):
            return HTTPError(404, _DETAILS.get(error.errno, ""))
        case errno.EACCES | errno.EPERM:
            return HTTPError(403)
        case errno.EROFS:
            return HTTPError(403, "nothing can be stored here")
        case errno.EFBIG:
            return HTTPError(413, "larger than a file can be")
        case errno.EMFILE | errno.ENFILE:
            return HTTPError(503, "too many open files")
        case errno.ENOSPC | errno.EDQUOT:
            return HTTPError(507, "the disk is full")
        case number if number in _UNAVAILABLE:
            return HTTPError(503, "the file system reports an error", {"Retry-After": "10"})
        case _:
            return None


# Errors of a broken disk, of a file server that cannot be reached or has restarted, of a
# program (FUSE) that has ended, and of a kernel without memory. Not every system has all.
_UNAVAILABLE = {
    getattr(errno, name, None)
    for name in (
        *("EIO", "EBADMSG", "EUCLEAN", "EREMOTEIO", "ENOMEDIUM", "EMEDIUMTYPE", "EBUSY"),
        *("ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH"),
        *("ENOTCONN", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "ESHUTDOWN", "ENOLINK"),
        *("ECOMM", "EPROTO", "EREMCHG", "ENOLCK", "ENOKEY", "EKEYEXPIRED", "ENOMEM"),
    )
}
