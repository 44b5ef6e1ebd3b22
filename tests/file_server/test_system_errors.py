"""Tests of errors of the operating system, and of the statuses that clients get for them."""

import errno
import os

import pytest

from trio_http.file_server.system_errors import refusing
from trio_http.semantics.errors import HTTPError


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.ENOENT, 404),
        (errno.ENOTDIR, 404),
        (errno.ELOOP, 404),
        (errno.ENAMETOOLONG, 404),
        (errno.EISDIR, 404),
        (errno.ENXIO, 404),
        (errno.ENODEV, 404),
        (errno.EINVAL, 404),
        (errno.EACCES, 403),
        (errno.EPERM, 403),
        (errno.EROFS, 403),
        (errno.EFBIG, 413),
        (errno.EMFILE, 503),
        (errno.ENFILE, 503),
        (errno.ENOSPC, 507),
        (errno.EDQUOT, 507),
        (errno.EIO, 503),  # a broken disk
        (errno.ESTALE, 503),  # a file server that no longer knows the file
        (errno.ETIMEDOUT, 503),
        (errno.EHOSTDOWN, 503),
        (errno.ENOTCONN, 503),  # a FUSE program that has ended
        (errno.ENOMEM, 503),
    ],
    ids=lambda value: errno.errorcode[value] if value < 200 else str(value),
)
def test_system_error_becomes_a_status(number: int, status: int) -> None:
    error = OSError(number, os.strerror(number), "/a/path/of/ours")
    with pytest.raises(HTTPError) as refusal, refusing():
        raise error
    assert refusal.value.status == status
    assert refusal.value.__cause__ is error  # for the log
    assert "/a/path/of/ours" not in refusal.value.detail  # not for the client


@pytest.mark.parametrize("number", [errno.EBADF, errno.EAGAIN, None])
def test_internal_error_or_lease_is_not_translated(number: int | None) -> None:
    with pytest.raises(OSError, match="ours") as failure, refusing():
        raise OSError(number, "ours") if number else OSError("ours")
    assert failure.value.errno == number


def test_http_error_passes_unchanged() -> None:
    refusal = HTTPError(409, "busy")
    with pytest.raises(HTTPError) as passed, refusing():
        raise refusal
    assert passed.value is refusal


def test_name_without_a_spelling_on_the_file_system_gets_404() -> None:
    with pytest.raises(HTTPError, match="encoding of the file system") as refusal, refusing():
        "\ud800".encode()
    assert refusal.value.status == 404


def test_other_exceptions_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), refusing():
        raise ZeroDivisionError
