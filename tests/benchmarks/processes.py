"""Processes on their own cores: started, measured from outside, and always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Seconds that a server has to end after SIGTERM.
ENDING = 3

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of the servers and of the load; None if the system does not let us choose."""

    server: int | None
    load: int | None

    @classmethod
    def choose(cls) -> Cores:
        """Return the first and the last core that this process may use."""
        try:
            usable = sorted(os.sched_getaffinity(0))
        except AttributeError:  # not on Linux
            return cls(None, None)
        return cls(usable[0], usable[-1])


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Run processes started in the block on one core, which they inherit."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Spawn:
    """A process to start, and its surroundings."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    output: Path  # receives both output streams
    core: int | None


@contextmanager
def running(spawn: Spawn) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in its own session; leaving the block ends all processes of the session."""
    with spawn.output.open("ab") as output, on_core(spawn.core):
        process = subprocess.Popen(
            spawn.command,
            env={**os.environ, **spawn.environment},
            cwd=spawn.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + ENDING
        while _is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:  # an interrupt must not leave processes running
        # A killed process takes a while to end, above all if it has much memory to release or
        # the machine is busy, and may have started another process just before.
        _signal(process.pid, signal.SIGKILL)
        while _is_alive(process):
            time.sleep(0.01)
            _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(session: int, number: signal.Signals) -> None:
    """Signal all groups of a session, the leader's first, because it could start new ones."""
    groups = {stat.group for stat in _members(session)} if PROC.is_dir() else set[int]()
    for group in (session, *(groups - {session})):
        with suppress(ProcessLookupError, PermissionError):  # it has ended already
            os.killpg(group, number)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    """Return whether any process of the session is still running.

    The number of a process that has not been waited for stays taken, so no other session can
    have got it.
    """
    if not PROC.is_dir():
        return process.poll() is None
    return any(stat.state not in "ZX" for stat in _members(process.pid))


@dataclass(frozen=True, slots=True)
class _Stat:
    number: int
    state: str
    group: int
    session: int
    ticks: int


def parse_stat(text: str) -> _Stat:
    """Parse ``/proc/NUMBER/stat``; the name in it may contain anything, even brackets."""
    number, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    group, session = int(fields[2]), int(fields[3])
    return _Stat(int(number), fields[0], group, session, int(fields[11]) + int(fields[12]))


def _members(session: int) -> Iterator[_Stat]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended since
                stat = parse_stat((entry / "stat").read_text("ascii", "replace"))
                if stat.session == session:
                    yield stat


def cpu_seconds(session: int) -> float | None:
    """Return the CPU seconds of a session's processes, in user mode and in the kernel."""
    if not PROC.is_dir():
        return None
    return sum(stat.ticks for stat in _members(session)) / os.sysconf("SC_CLK_TCK")


def parse_memory(status: str, name: str) -> int:
    """Return bytes from ``/proc/NUMBER/status``; 0 for a process that is ending."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def memory(session: int, name: str = "VmRSS") -> int | None:
    """Return the bytes of memory of a session's processes, now or at their peak (``VmHWM``)."""
    if not PROC.is_dir():
        return None
    found = 0
    for stat in _members(session):
        with suppress(OSError):
            found += parse_memory((PROC / str(stat.number) / "status").read_text(), name)
    return found


def forget_peak(session: int) -> None:
    """Restart the count of the peak of memory (proc(5), ``clear_refs``)."""
    for stat in _members(session):
        with suppress(OSError):
            (PROC / str(stat.number) / "clear_refs").write_text("5")
