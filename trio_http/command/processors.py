"""The number of processors that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

# More processes than this per processor only cost memory, about 25 MiB each. Handlers that
# wait do not need them, because each process serves many clients.
WORKERS_FOR_EACH = 64

# The files of Linux that name the control groups of a process, and their quotas.
MEMBERSHIP = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """Return the number of processors that this process may use, 1 at least.

    This is the smaller of its CPU affinity and the quota of its control group. A quota of
    1.5 counts as 2, so that all of it is used.
    """
    quota = quota_in(MEMBERSHIP, CONTROL_GROUPS)
    return _bound_to() if quota is None else max(1, min(_bound_to(), ceil(quota)))


def _bound_to() -> int:
    if hasattr(os, "process_cpu_count"):  # since Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota_in(membership: Path, groups: Path) -> float | None:
    """Return the smallest quota that applies to a process, in processors; None without any.

    Args:
      membership: the file that names its control groups (``/proc/self/cgroup``).
      groups: the directory where the control groups are mounted.
    """
    quotas = [
        quota_of(" ".join(_text_of(directory / name) for name in names))
        for directory, names in directories_of(_text_of(membership), groups)
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


# What says how long a group may run, and in which period.
_VERSION_2: Sequence[str] = ("cpu.max",)
_VERSION_1: Sequence[str] = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def directories_of(membership: str, groups: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield the directories of all control groups that may limit the processor time.

    With each come the names of the files that say so. A group is limited by those that it
    is in, too. In a container, the path may be that of the host, and the group itself be
    mounted in its place: so the directory on top counts as well.
    """
    for line in membership.splitlines():
        # number:controllers:path; in version 2 the number is 0, and there are no controllers
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            top, names = groups, _VERSION_2
        elif "cpu" in controllers.split(","):
            top, names = groups / "cpu", _VERSION_1
        else:
            continue
        parts = [part for part in path.split("/") if part not in {"", ".."}]
        for depth in range(len(parts) + 1):
            yield top.joinpath(*parts[:depth]), names


def quota_of(text: str) -> float | None:
    """Return the processors that a quota and its period, both in microseconds, amount to.

    ``max 100000`` (version 2) and ``-1 100000`` (version 1) mean that there is no quota.
    """
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            return int(quota) / int(period)
        case _:
            return None


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8", "surrogateescape")  # a group may have any name
    except OSError:
        return ""
