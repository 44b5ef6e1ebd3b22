"""Who may do what with a file: taken over from the file that it replaces.

The new file is made readable step by step, and never to anybody whom the old
one was closed to. What cannot be kept (the owner, for all but root) makes it
readable to fewer, not to more.

Two things are not kept on purpose. A program that runs with its owner's rights
(setuid, setgid, capabilities) must not become what a client has sent; a kernel
takes these rights away whenever such a file is written to. And a digest or
signature of the old content would be a wrong one of the new.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from trio_http.file_server.root import OpenDirectory

# What of a mode is kept.
_PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO

_OURS = stat.S_IRUSR | stat.S_IWUSR

ACL = "system.posix_acl_access"

# Attributes by the beginnings of their names: of users' programs, the ACLs of NFSv4, and labels.
_KEPT = ("user.", "system.nfs4_acl", "security.")
_NOT_KEPT = {"security.capability", "security.ima", "security.evm"}

# Linux reaches the attributes of a file that is open as a place only through here.
_OPENED = Path("/proc/self/fd")
CAN_KEEP_ATTRIBUTES = hasattr(os, "O_PATH") and hasattr(os, "getxattr") and _OPENED.exists()
# Windows has neither modes nor owners.
CAN_KEEP_MODES = hasattr(os, "fchmod") and hasattr(os, "fchown")

# What a file says that has no such attribute, and a file system that has none at all.
_NO_ATTRIBUTE = {getattr(errno, "ENODATA", 0), errno.ENOTSUP, errno.ENOSYS}


def keep_attributes(directory: OpenDirectory, name: str, file: int) -> None:
    """Give ``file`` the mode, group, owner, ACL and attributes of another file, as far as we may.

    ``file`` is new and ours, and either has no name yet or the mode 0600.
    """
    if not CAN_KEEP_MODES:
        return
    with suppress(FileNotFoundError):  # it has just been removed
        if CAN_KEEP_ATTRIBUTES:
            flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
            model = os.open(directory.at(name), flags, dir_fd=directory.descriptor)
            try:
                _keep(os.fstat(model), f"{_OPENED}/{model}", file)
            finally:
                os.close(model)
        else:
            at = directory.at(name)
            _keep(os.stat(at, dir_fd=directory.descriptor, follow_symlinks=False), None, file)


def _keep(before: os.stat_result, model: str | None, file: int) -> None:
    if not stat.S_ISREG(before.st_mode):  # somebody has just put it there
        _set_mode(file, _OURS)
        return
    ours = os.fstat(file)
    has_group = before.st_gid == ours.st_gid or _gives_away(file, -1, before.st_gid)
    has_acl = True
    if model is not None:
        has_acl = _keep_acl(model, file, has_group)
        _keep_others(model, file)
    _set_mode(file, mode_for(before.st_mode, has_group, has_acl))
    # Last: what is not ours any more, only root may change.
    if before.st_uid != ours.st_uid:
        _gives_away(file, before.st_uid, -1)


def _set_mode(file: int, mode: int) -> None:
    is_now = os.fstat(file).st_mode & _PERMISSIONS
    try:
        if is_now != mode:
            os.fchmod(file, mode)
    except OSError:  # not on this file system, where it matters only if others could do more
        if is_now & ~mode:
            raise


def mode_for(mode: int, has_group: object, has_acl: object) -> int:
    """The mode that lets nobody do more than ``mode`` did, where the group or the ACL is lost.

    Another group takes the place of the old one, whose members are among all
    others then: each gets what both had. An ACL is all there is to know of
    everybody but the owner.
    """
    mode &= _PERMISSIONS
    if not has_acl:
        return mode & stat.S_IRWXU
    if not has_group:
        both = mode >> 3 & mode & stat.S_IRWXO
        return mode & stat.S_IRWXU | both << 3 | both
    return mode


def _gives_away(file: int, owner: int, group: int) -> bool:
    try:
        os.fchown(file, owner, group)
    except OSError:  # not to them, or not at all on this file system
        return False
    return True


def _keep_acl(model: str, file: int, has_group: object) -> bool:
    """Whether the file has the ACL of the model now, or neither has one."""
    try:
        acl = os.getxattr(model, ACL)
    except OSError as error:
        return _is_without(error) and _remove_acl(file)
    if not has_group:  # which one of its entries is about
        _remove_acl(file)
        return False
    try:
        os.setxattr(file, ACL, acl)
    except OSError:
        return False
    return True


def _remove_acl(file: int) -> bool:
    """Whether the file is without the ACL that its directory may have given it."""
    try:
        os.removexattr(file, ACL)
    except OSError as error:
        return _is_without(error)
    return True


def _is_without(error: OSError) -> bool:
    return error.errno in _NO_ATTRIBUTE


def _keep_others(model: str, file: int) -> None:
    with suppress(OSError):  # a file system without attributes
        for name in os.listxattr(model):
            if name.startswith(_KEPT) and name not in _NOT_KEPT:
                with suppress(OSError):  # not for us to read, or to give
                    os.setxattr(file, name, os.getxattr(model, name))
