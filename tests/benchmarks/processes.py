"""Processes on cores of their own: started, watched from outside, ended whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Seconds in which a server that was told to end should have ended.
ENDING = 3

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the servers have and which one the load; None where nobody can choose."""

    server: int | None
    load: int | None

    @classmethod
    def choose(cls) -> Cores:
        """The first and the last of those that we may use."""
        try:
            usable = sorted(os.sched_getaffinity(0))
        except AttributeError:  # not on Linux
            return cls(None, None)
        return cls(usable[0], usable[-1])


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Have what is started in here run on one core; processes inherit it."""
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
    """What to start, and where."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    output: Path  # where what it says goes
    core: int | None


@contextmanager
def running(spawn: Spawn) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a session of its own; leaving ends all that is in it."""
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
    finally:  # an interrupt in here is no reason to leave somebody running
        # Who is killed takes a while to end, above all where much memory is to be
        # given back or others are busy, and may have started somebody just before.
        _signal(process.pid, signal.SIGKILL)
        while _is_alive(process):
            time.sleep(0.01)
            _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(session: int, number: signal.Signals) -> None:
    """Tell all groups of a session, first that of its leader, who else would start new ones."""
    groups = {stat.group for stat in _members(session)} if PROC.is_dir() else set[int]()
    for group in (session, *(groups - {session})):
        with suppress(ProcessLookupError, PermissionError):  # it has ended already
            os.killpg(group, number)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    """Whether any of the session still runs.

    Of a process that was not waited for the number stays taken, so the session
    cannot meanwhile have become somebody else's.
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
    """A process as ``/proc/NUMBER/stat`` tells it; its name may hold anything, even brackets."""
    number, _, rest = text.partition(" (")
    fields = rest.rpartition(") ")[2].split()
    group, session = int(fields[2]), int(fields[3])
    return _Stat(int(number), fields[0], group, session, int(fields[11]) + int(fields[12]))


def _members(session: int) -> Iterator[_Stat]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                stat = parse_stat((entry / "stat").read_text("ascii", "replace"))
                if stat.session == session:
                    yield stat


def cpu_seconds(session: int) -> float | None:
    """Seconds of CPU that a session's processes have used, in user's code and the kernel."""
    if not PROC.is_dir():
        return None
    return sum(stat.ticks for stat in _members(session)) / os.sysconf("SC_CLK_TCK")


def parse_memory(status: str, name: str) -> int:
    """Bytes, from a line of ``/proc/NUMBER/status``; none for a process that is ending."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def memory(session: int, name: str = "VmRSS") -> int | None:
    """Bytes of memory that a session's processes hold, or at their peak held (``VmHWM``)."""
    if not PROC.is_dir():
        return None
    found = 0
    for stat in _members(session):
        with suppress(OSError):
            found += parse_memory((PROC / str(stat.number) / "status").read_text(), name)
    return found


def forget_peak(session: int) -> None:
    """Have the peak of memory counted from now on (proc(5), ``clear_refs``)."""
    for stat in _members(session):
        with suppress(OSError):
            (PROC / str(stat.number) / "clear_refs").write_text("5")
