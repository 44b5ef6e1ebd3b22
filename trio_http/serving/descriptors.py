"""How many descriptors this process may have open, and for how many connections that is enough.

A process has a soft limit, which is what counts, and a hard one, up to which it may
raise the soft one itself. The soft limit is mostly 1024, and for a reason: programs
that use ``select`` cannot have more. Trio and we do not use it, but a process that an
app starts may, and inherits the limit. So it is raised only as far as the connections
need, not to the hard limit, which may be a thousand million.
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

# Whatever the connections do: 64 folders and files that are kept open for a second,
# each of 40 threads with a folder that it looks into, the listeners, poll sets and log.
RESERVED = 128

# A connection holds one descriptor while it waits or is answered from memory, two while
# a file is sent, and up to five while an upload is stored. They should never have to
# wait for each other.
MOST_EACH = 5

# Where the hard limit forbids that, this number of connections share a descriptor for
# files: nearly all connections of a server that has many are idle.
SHARING = 5

# Linux has no more (fs.nr_open) unless told otherwise, and macOS for one that is told
# to have no limit (OPEN_MAX).
_MOST = 1024 * 1024
_MOST_ON_MACOS = 10240


def fit_to_descriptors(limits: Limits) -> Limits:
    """Return limits with as many connections as this process can have descriptors for.

    Raises the soft limit of the process (``RLIMIT_NOFILE``) first, as far as these
    connections need and the hard limit allows. Where that is not enough, every fifth
    connection can send a file at the same time. On Windows, where there is no such
    limit, nothing changes.
    """
    _raise_limit(math.ceil(min(limits.connections * MOST_EACH + RESERVED, _MOST)))
    connections = min(limits.connections, connections_within(descriptor_limit()))
    return replace(limits, connections=connections)


def connections_within(descriptors: float) -> float:
    """Return for how many connections this number of descriptors is enough, at least 1."""
    if descriptors == math.inf:
        return math.inf
    return max(1, int(descriptors - RESERVED) * SHARING // (SHARING + 1))


def descriptor_limit() -> float:
    """Return how many descriptors this process may have, ``math.inf`` where nothing limits it."""
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
            with suppress(ValueError, OSError):  # the system knows better: it stays as it is
                resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), unchanged))
