"""The number of processors that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

# More processes per processor only cost memory, about 25 MiB each. Handlers that wait do not
# need them, because each process serves many clients.
WORKERS_FOR_EACH = 64

# On Linux, the file that names the control groups of a process, and the mounted groups.
MEMBERSHIP = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """Return the number of processors that this process may use, at least 1.

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
    """Return the smallest quota that applies to a process, in processors, or None.

    Args:
        membership: the file that names its control groups (``/proc/self/cgroup``).
        groups: the directory where the control groups are mounted.
    """
    quotas = [
        quota_of(" ".join(_text_of(directory / name) for name in names))
        for directory, names in directories_of(_text_of(membership), groups)
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


# The files with the quota of a group and its period.
_VERSION_2: Sequence[str] = ("cpu.max",)
_VERSION_1: Sequence[str] = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def directories_of(membership: str, groups: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield each control group that may limit the processor time, with its quota files.

    The quotas of parent groups apply as well. In a container, the path may be the path on the
    host while the group itself is mounted at the top, so the top directory is included.
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
    """Return a quota and its period, both in microseconds, as a number of processors.

    ``max 100000`` (version 2) and ``-1 100000`` (version 1) mean no quota: None.
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
