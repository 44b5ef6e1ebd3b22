"""Gives a new file the owner, permissions and attributes of the file that it replaces.

The new file becomes readable step by step, and never to a user for whom the old one was
not. An attribute that cannot be kept (the owner, unless the server is root) makes the file
readable to fewer users, not to more.

Two things are not kept on purpose. A program that runs with its owner's rights (setuid,
setgid, capabilities) must not become the content that a client sent; kernels drop these
rights when such a file is written to. And a digest or signature of the old content would be
wrong for the new one.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from trio_http.file_server.beneath_root import OpenDirectory

# The bits of a mode that are kept.
_PERMISSIONS = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO

_OURS = stat.S_IRUSR | stat.S_IWUSR

ACL = "system.posix_acl_access"

# Prefixes of the attributes that are kept: those of users' programs, ACLs of NFSv4, and labels.
_KEPT = ("user.", "system.nfs4_acl", "security.")
_NOT_KEPT = {"security.capability", "security.ima", "security.evm"}

# The only way on Linux to the attributes of a file that was opened with O_PATH.
_OPENED = Path("/proc/self/fd")
CAN_KEEP_ATTRIBUTES = hasattr(os, "O_PATH") and hasattr(os, "getxattr") and _OPENED.exists()
# Windows has neither modes nor owners.
CAN_KEEP_MODES = hasattr(os, "fchmod") and hasattr(os, "fchown")

# The errors for a file without the attribute, and for a file system without any.
_NO_ATTRIBUTE = {getattr(errno, "ENODATA", 0), errno.ENOTSUP, errno.ENOSYS}


def keep_attributes(directory: OpenDirectory, name: str, file: int) -> None:
    """Give ``file`` the mode, group, owner, ACL and attributes of another file, as far as allowed.

    ``file`` is new and belongs to this process; it has no name yet, or the mode 0600.
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
    if not stat.S_ISREG(before.st_mode):  # another program has just put it there
        _set_mode(file, _OURS)
        return
    ours = os.fstat(file)
    has_group = before.st_gid == ours.st_gid or _gives_away(file, -1, before.st_gid)
    has_acl = True
    if model is not None:
        has_acl = _keep_acl(model, file, has_group)
        _keep_others(model, file)
    _set_mode(file, mode_for(before.st_mode, has_group, has_acl))
    # Last, because only root may change a file of another owner.
    if before.st_uid != ours.st_uid:
        _gives_away(file, before.st_uid, -1)


def _set_mode(file: int, mode: int) -> None:
    is_now = os.fstat(file).st_mode & _PERMISSIONS
    try:
        if is_now != mode:
            os.fchmod(file, mode)
    except OSError:  # not on this file system; that matters only if others could do more
        if is_now & ~mode:
            raise


def mode_for(mode: int, has_group: object, has_acl: object) -> int:
    """Return the mode that gives no user more than ``mode`` did, if the group or the ACL is lost.

    If the file has another group, members of the old one are among all others: each class gets
    what both classes had. If the ACL is lost, nothing is known of anyone but the owner.
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
    except OSError:  # not allowed to, or not supported by this file system
        return False
    return True


def _keep_acl(model: str, file: int, has_group: object) -> bool:
    """Return whether the file now has the ACL of the model, or neither has one."""
    try:
        acl = os.getxattr(model, ACL)
    except OSError as error:
        return _is_without(error) and _remove_acl(file)
    if not has_group:  # the entry for the group is about another group
        _remove_acl(file)
        return False
    try:
        os.setxattr(file, ACL, acl)
    except OSError:
        return False
    return True


def _remove_acl(file: int) -> bool:
    """Remove an ACL that the file's directory may have given it; return whether there is none."""
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
                with suppress(OSError):  # this process may not read it, or not set it
                    os.setxattr(file, name, os.getxattr(model, name))
