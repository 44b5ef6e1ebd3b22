"""Errors of the operating system, and the statuses that clients get for them."""

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
        (errno.ESTALE, 503),  # a server that has forgotten what it served
        (errno.ETIMEDOUT, 503),
        (errno.EHOSTDOWN, 503),
        (errno.ENOTCONN, 503),  # a program that was one, and has ended
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
    assert "/a/path/of/ours" not in refusal.value.detail  # and not for the client


@pytest.mark.parametrize("number", [errno.EBADF, errno.EAGAIN, None])
def test_a_fault_of_ours_is_no_refusal_and_nor_is_a_lease(number: int | None) -> None:
    with pytest.raises(OSError, match="ours") as failure, refusing():
        raise OSError(number, "ours") if number else OSError("ours")
    assert failure.value.errno == number


def test_a_refusal_goes_through_as_it_is() -> None:
    refusal = HTTPError(409, "busy")
    with pytest.raises(HTTPError) as passed, refusing():
        raise refusal
    assert passed.value is refusal


def test_a_name_without_a_spelling_on_the_file_system_gets_404() -> None:
    with pytest.raises(HTTPError, match="encoding of the file system") as refusal, refusing():
        "\ud800".encode()
    assert refusal.value.status == 404


def test_other_exceptions_go_through_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), refusing():
        raise ZeroDivisionError
