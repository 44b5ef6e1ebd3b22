"""Tests of the number of connections for which descriptors suffice, and of raising the limit."""

import math
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from trio_http.semantics.limits import Limits
from trio_http.serving import descriptors
from trio_http.serving.descriptors import (
    MOST_EACH,
    RESERVED,
    SHARING,
    connections_within,
    descriptor_limit,
    fit_to_descriptors,
)


@pytest.fixture
def resource() -> Iterator[ModuleType]:
    """Yield the module, and restore the soft limit of the process afterwards."""
    module = pytest.importorskip("resource")
    before = module.getrlimit(module.RLIMIT_NOFILE)
    yield module
    module.setrlimit(module.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1024, 746),
        (4096, 3306),
        (RESERVED + SHARING + 1, SHARING),
        (RESERVED + SHARING, SHARING - 1),
        (1024 * 1024, 873706),
        (RESERVED, 1),  # with 0 connections, a server would serve no client
        (16, 1),
        (math.inf, math.inf),
    ],
)
def test_connections_leave_descriptors_for_files(limit: float, expected: float) -> None:
    assert connections_within(limit) == expected


def test_soft_limit_is_raised_as_far_as_it_may_be_needed(resource: ModuleType) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    limits = fit_to_descriptors(Limits(connections=100, body=5))
    assert limits == Limits(connections=100, body=5)
    assert descriptor_limit() == 100 * MOST_EACH + RESERVED
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard


def test_soft_limit_is_never_lowered(resource: ModuleType) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    for connections in (1, 10):
        fit_to_descriptors(Limits(connections=connections))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_unlimited_connections_are_limited_by_descriptors(resource: ModuleType) -> None:
    fitting = fit_to_descriptors(Limits(connections=math.inf))
    assert fitting.connections == connections_within(descriptor_limit())


# Only root can raise a hard limit that was lowered, so subprocesses lower theirs.

FIT = """
import resource, sys
from trio_http.semantics.limits import Limits
from trio_http.serving.descriptors import fit_to_descriptors
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
fitting = fit_to_descriptors(Limits(connections=connections))
print(fitting.connections, *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [
        (1024, 1024, 16384, "746 1024 1024"),
        (512, 1024, 16384, "746 1024 1024"),
        (512, 1024, 100, "100 628 1024"),
        (512, 15000, 16384, "12393 15000 15000"),  # more than macOS allows
        (64, 64, 16384, "1 64 64"),
    ],
)
def test_hard_limit_limits_connections(
    resource: ModuleType, soft: int, hard: int, connections: int, expected: str
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this process has a lower limit")
    command = [sys.executable, "-c", FIT, *map(str, (soft, hard, connections))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_limits_are_unchanged_without_a_descriptor_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "resource", None)
    for connections in (1, 16384, 10**9, math.inf):
        limits = Limits(connections=connections)
        assert fit_to_descriptors(limits) == limits
    assert descriptor_limit() == math.inf
