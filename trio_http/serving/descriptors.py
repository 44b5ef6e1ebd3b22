"""Fit the number of connections to this process's limit on file descriptors.

The soft limit is the one that is enforced; a process may raise it up to its hard limit. It is
usually 1024 for the sake of programs that use ``select``, which cannot handle more descriptors.
This server does not use ``select``, but a process that an app starts may, and inherits the
limit. So the soft limit is raised only as far as the connections need, not to the hard limit,
which may be a thousand million.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from types import ModuleType

from trio_http.semantics.limits import Limits

resource: ModuleType | None
try:
    import resource
except ImportError:  # pragma: no cover - Windows, which has no such limit on sockets
    resource = None

# Descriptors besides those of connections: 64 directories and files that stay open for a
# second, a directory for each of 40 threads, the listeners, the poll sets and the log.
RESERVED = 128

# A connection holds one descriptor while it is idle or its response comes from memory, two
# while a file is sent, and up to five while an upload is stored. With this many per connection,
# connections never wait for each other.
MOST_EACH = 5

# If the hard limit is lower, this many connections share one descriptor for files: nearly all
# connections are idle.
SHARING = 5

# The highest limits by default: fs.nr_open on Linux, and on macOS OPEN_MAX for a process
# without a limit.
_MOST = 1024 * 1024
_MOST_ON_MACOS = 10240


def fit_to_descriptors(limits: Limits) -> Limits:
    """Return limits with as many connections as this process has descriptors for.

    ``serve`` does not call it, because the limits of a process belong to the program: pass
    ``limits=fit_to_descriptors(Limits())``.

    First it raises the soft limit of the process (``RLIMIT_NOFILE``), as far as these
    connections need and the hard limit allows. If that is not enough, one connection in five
    can send a file at the same time. Windows has no such limit, and nothing changes.

    Args:
        limits: returned with fewer ``connections`` if necessary.
    """
    _raise_limit(math.ceil(min(limits.connections * MOST_EACH + RESERVED, _MOST)))
    connections = min(limits.connections, connections_within(descriptor_limit()))
    return replace(limits, connections=connections)


def connections_within(descriptors: float) -> float:
    """Return how many connections can share ``descriptors``, at least 1."""
    if descriptors == math.inf:
        return math.inf
    return max(1, int(descriptors - RESERVED) * SHARING // (SHARING + 1))


def descriptor_limit() -> float:
    """Return the soft limit on descriptors of this process; ``math.inf`` if unlimited."""
    return math.inf if resource is None else _soft_and_hard(resource)[0]


def _soft_and_hard(resource: ModuleType) -> tuple[float, float]:
    soft, hard = (
        math.inf if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return soft, hard


def _raise_limit(wanted: int) -> None:
    if resource is None:
        return
    soft, hard = _soft_and_hard(resource)
    _, unchanged = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in sorted({min(wanted, _MOST_ON_MACOS, hard), min(wanted, hard)}):
        if limit > soft:
            with suppress(ValueError, OSError):  # the system refuses: keep its limit
                resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), unchanged))
