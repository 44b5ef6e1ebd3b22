"""Tells local file systems, on a disk or in the memory of this machine, from remote ones.

All others (NFS, FUSE, SMB …) may have to ask another machine or program, even for what they
were asked a moment ago. Until that answers, the thread that asked is stuck, so it must not be
the event loop's.

The device of a file does not tell: on btrfs and overlayfs, no mount has that device. The
kernel tells the mount of an open file.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

LOCAL_TYPES = frozenset(
    {
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus"),
        *("iso9660", "jfs", "msdos", "nilfs2", "ntfs3", "reiserfs", "squashfs", "udf", "ufs"),
        *("vfat", "xfs", "zfs"),  # on disks
        *("devtmpfs", "ramfs", "rootfs", "tmpfs"),  # in memory
        "overlay",  # of these, nearly always
    }
)

MOUNTINFO = Path("/proc/self/mountinfo")

# Seconds for which the kernel's list of mounts counts. The number of a device may become that of
# another file system.
BELIEVED = 10.0


def local_mounts(mountinfo: str) -> frozenset[int]:
    """Return the IDs of the mounts of local file systems.

    ``mountinfo`` is the text of ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)).
    """
    mounts = set()
    for line in mountinfo.split("\n"):
        # Blanks in names are written as octal numbers, and a hyphen ends the optional fields.
        mount, separator, rest = line.partition(" - ")
        if separator and rest.split(" ", 1)[0] in LOCAL_TYPES:
            mounts.add(int(mount.split(" ", 1)[0]))
    return frozenset(mounts)


def mount_of(fdinfo: str) -> int | None:
    """Return the ID of the mount of an open file, from the text of ``/proc/self/fdinfo/N``."""
    for line in fdinfo.splitlines():
        name, _, value = line.partition(":")
        if name == "mnt_id":
            return int(value)
    return None


class Mounts:
    """Tells open files on local file systems from others.

    On a system that does not list its mounts, all are taken for local.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[int, tuple[float, bool]] = {}

    def is_local(self, descriptor: int | None) -> bool:
        """Return whether an open file is on a local file system; true without a descriptor.

        This asks the kernel, so it is for a thread.
        """
        if descriptor is None:
            return True
        try:
            device = os.fstat(descriptor).st_dev
        except OSError:  # a local file system would not fail
            return False
        now = self._clock()
        since, is_local = self._known.get(device, (-math.inf, True))
        if now - since >= BELIEVED:
            is_local = _is_local(descriptor)
            self._known[device] = now, is_local
        return is_local


def _is_local(descriptor: int) -> bool:
    try:
        mounts = local_mounts(MOUNTINFO.read_text("utf-8", "surrogateescape"))
        fdinfo = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    except OSError:
        return True
    return mount_of(fdinfo) in mounts
