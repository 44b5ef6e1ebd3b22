"""Tests of the number of usable processors: CPU affinity and control group quotas."""

import os
from pathlib import Path

import pytest

from trio_http.command import processors as room
from trio_http.command.processors import directories_of, processors, quota_in, quota_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("150000 100000\n", 1.5),
        ("50000 100000", 0.5),
        ("400000 200000", 2),
        ("max 100000\n", None),  # version 2: no quota
        ("-1 100000", None),  # version 1: no quota
        ("0 100000", 0),
        ("", None),  # the file does not exist
        (" ", None),
        ("100000", None),
        ("100000 0", None),
        ("100000 max", None),
        ("100000 100000 1", None),
    ],
)
def test_quota_is_divided_by_its_period(text: str, expected: float | None) -> None:
    assert quota_of(text) == expected


@pytest.mark.parametrize(
    ("membership", "expected"),
    [
        ("", []),
        ("0::/\n", ["."]),
        ("0::/a.slice/b.service\n", [".", "a.slice", "a.slice/b.service"]),
        ("0::/a:b\n", [".", "a:b"]),
        ("0::/../b\n", [".", "b"]),  # the parent is outside of the namespace
        ("4:memory:/a\n1:cpu:/a\n0::/\n", ["cpu", "cpu/a", "."]),
        ("4:cpu,cpuacct:/a\n", ["cpu", "cpu/a"]),
        ("4:cpuset:/a\n2:cpuacct:/a\n1:name=systemd:/\n", []),
        ("nonsense\n", []),
    ],
)
def test_parent_groups_are_included(membership: str, expected: list[str]) -> None:
    found = [directory for directory, _ in directories_of(membership, Path("/groups"))]
    assert found == [Path("/groups", path) for path in expected]


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a/b", {}, None),
        ("0::/a/b", {"a/b/cpu.max": "max 100000"}, None),
        ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b", {"a/b/cpu.max": "200000 100000", "a/cpu.max": "300000 100000"}, 2),
        ("0::/host/only", {"cpu.max": "250000 100000"}, 2.5),
        (
            "3:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "70000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            0.7,
        ),
        (
            "3:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
            None,
        ),
    ],
)
def test_smallest_quota_is_returned(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert quota_in(tmp_path / "cgroup", tmp_path) == expected


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the quota file of this process, on a system that has 16 processors."""
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setattr(room, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(room, "CONTROL_GROUPS", tmp_path)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    return tmp_path / "cpu.max"


def test_cpu_affinity_limits_the_processors(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processors() == 16
    monkeypatch.setattr(os, "cpu_count", lambda: None)  # the number is unknown
    assert processors() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3}, raising=False)
    assert processors() == 3
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    assert processors() == 8


@pytest.mark.parametrize(
    ("quota", "expected"), [(0, 1), (0.1, 1), (1, 1), (1.5, 2), (2.0, 2), (16, 16), (20, 16)]
)
def test_quota_is_rounded_up_but_at_most_all_processors(
    group: Path, quota: float, expected: int
) -> None:
    group.write_text(f"{quota * 100_000:.0f} 100000")
    assert processors() == expected
