"""Tests of worker processes: how they start, end, are replaced and are signalled.

The first tests run small programs that only follow the protocol of workers, the later ones the
command itself. Both use real processes.
"""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import support
import trio
import trio.testing
from support import Program, connected

from trio_http.command.multi_process import WORKER
from trio_http.command.option_values import CAN_HAVE_WORKERS
from trio_http.serving import workers as rooms
from trio_http.serving.listeners import close_queues, open_queues
from trio_http.serving.workers import (
    LONGEST_PAUSE,
    Ended,
    Listening,
    NotStarted,
    Renewed,
    WorkerEvent,
    Workers,
    pause_after,
)
from trio_http.testing import Client

# Seconds within which everything in these tests happens, on a machine however slow.
PATIENCE = 180

pytestmark = [
    pytest.mark.skipif(not CAN_HAVE_WORKERS, reason="this system has no workers"),
    pytest.mark.timeout(PATIENCE + 60),  # later than the test's own message
]

ACCESS = r"INFO    .(CONNECTED|DISCONNECTED|RECEIVED)"


# Pauses between attempts


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (7, 32), (8, LONGEST_PAUSE), (10**9, LONGEST_PAUSE)],
)
def test_pause_doubles_up_to_a_maximum(failures: int, seconds: float) -> None:
    assert pause_after(failures) == seconds


# Workers without clients

PROGRAM = """
import os, signal, socket, sys
channel, gate, manner, *listening = sys.argv[1:]
for descriptor in listening:
    assert socket.socket(fileno=int(descriptor)).getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
channel = socket.socket(fileno=int(channel))
if manner == "broken":
    sys.exit(2)
if manner in {"stubborn", "late and stubborn"}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if manner in {"late", "late and stubborn"}:
    gate = socket.socket(fileno=int(gate))
    gate.send(b".")
    gate.recv(1)
channel.setblocking(True)
channel.send(b"+")
while manner in {"stubborn", "busy"}:
    signal.pause()
while channel.recv(1) not in {b"r", b"d", b"s", b""}:
    pass
"""


class Staff:
    """Starts small programs as workers, one for each manner, and records their events."""

    def __init__(self, *manners: str) -> None:
        self.manners = list(manners)
        self._send, self._receive = trio.open_memory_channel[WorkerEvent](100)
        self._gate, self._opener = socket.socketpair()
        self.started: list[trio.Process] = []

    async def start(self, channel: int, listening: Sequence[int]) -> trio.Process:
        manner = self.manners.pop(0) if self.manners else "good"
        if manner == "none":
            raise OSError(errno.EAGAIN, "no more processes")
        arguments = map(str, (channel, self._gate.fileno(), manner, *listening))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-S", "-E", "-c", PROGRAM, *arguments],
            pass_fds=(channel, self._gate.fileno(), *listening),
        )
        self.started.append(process)
        return process

    def report(self, event: WorkerEvent) -> None:
        self._send.send_nowait(event)

    async def says(self) -> WorkerEvent:
        return await self._receive.receive()

    def has_said_all(self) -> bool:
        return self._receive.statistics().current_buffer_used == 0

    async def listens(self, number: int) -> int:
        """Return the process that begins to listen next, as this worker."""
        event = await self.says()
        assert isinstance(event, Listening)
        assert event.worker == number
        return event.pid

    async def has_someone_late(self) -> None:
        await trio.lowlevel.wait_readable(self._opener)
        assert self._opener.recv(1) == b"."

    def let_the_late_begin(self) -> None:
        self._opener.send(b".")

    def close(self) -> None:
        self._gate.close()
        self._opener.close()


@asynccontextmanager
async def employed(
    staff: Staff, number: int = 2, grace: float = 10
) -> AsyncIterator[tuple[Workers, trio.CancelScope]]:
    """Yield workers that have not begun; leaving waits until they have ended."""
    queues = await open_queues(number, "127.0.0.1:0")
    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                workers = Workers(nursery, staff.start, queues, staff.report, grace)
                yield workers, nursery.cancel_scope
    finally:
        close_queues(queues)
        staff.close()


async def test_drain_ends_all_workers() -> None:
    staff = Staff()
    async with employed(staff, 3) as (workers, _):
        assert await workers.begin() is None
        pids = {1: await staff.listens(1)}
        for _ in range(2):
            event = await staff.says()
            assert isinstance(event, Listening)
            pids[event.worker] = event.pid
        assert sorted(pids) == [1, 2, 3]
        workers.drain()
        ended = [await staff.says() for _ in pids]
    expected = [Ended(number, pid, 0) for number, pid in pids.items()]
    assert sorted(ended, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("manner", ["broken", "none"])
async def test_first_worker_that_fails_prevents_the_others(manner: str) -> None:
    staff = Staff(manner)
    async with employed(staff) as (workers, _):
        failure = await workers.begin()
    match failure:
        case Ended():
            assert (failure.worker, failure.status, failure.pause) == (1, 2, None)
        case _:
            assert isinstance(failure, NotStarted)
            assert (failure.worker, failure.error.errno, failure.pause) == (1, errno.EAGAIN, None)


async def test_worker_that_ends_by_itself_is_replaced_at_once() -> None:
    staff = Staff()
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        pid = await staff.listens(1)
        os.kill(pid, signal.SIGKILL)
        assert await staff.says() == Ended(1, pid, -signal.SIGKILL, 0)
        successor = await staff.listens(1)
        assert successor != pid
        workers.drain()
        assert await staff.says() == Ended(1, successor, 0)


async def test_pause_grows_when_workers_end_repeatedly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "LONGEST_PAUSE", 0.01)
    staff = Staff()
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        pauses = []
        for _ in range(3):
            os.kill(await staff.listens(1), signal.SIGKILL)
            event = await staff.says()
            assert isinstance(event, Ended)
            pauses.append(event.pause)
        await staff.listens(1)
        workers.drain()
    assert pauses == [0, 0.01, 0.01]


async def test_pause_is_reset_after_a_worker_did_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "DID_WELL", 0)
    staff = Staff()
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        for _ in range(3):
            pid = await staff.listens(1)
            os.kill(pid, signal.SIGKILL)
            assert await staff.says() == Ended(1, pid, -signal.SIGKILL, 0)
        await staff.listens(1)
        workers.drain()


async def test_worker_that_ends_as_soon_as_it_listens_gets_one_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "DID_WELL", 0)
    events: list[WorkerEvent] = []

    def report(event: WorkerEvent) -> None:
        events.append(event)
        if isinstance(event, Listening) and len(events) < 20:
            os.kill(event.pid, signal.SIGKILL)
            os.waitid(os.P_PID, event.pid, os.WEXITED | os.WNOWAIT)
        elif isinstance(event, Listening):
            workers.drain()

    staff = Staff()
    monkeypatch.setattr(staff, "report", report)
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
    kinds = [type(event) for event in events]
    assert kinds == [Listening, Ended] * (len(events) // 2)


async def test_later_start_that_fails_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LONGEST_PAUSE", 0.01)
    staff = Staff("good", "broken", "none", "broken")
    async with employed(staff) as (workers, _):
        await workers.begin()
        await staff.listens(1)
        events = [await staff.says() for _ in range(3)]
        await staff.listens(2)
        workers.drain()
    broken, none, again = events
    assert isinstance(broken, Ended)
    assert isinstance(none, NotStarted)
    assert isinstance(again, Ended)
    assert {event.worker for event in (broken, none, again)} == {2}
    assert (broken.status, broken.pause, none.pause, again.pause) == (2, 0, 0.01, 0.01)


async def test_renew_replaces_all_workers_after_their_successors_listen() -> None:
    staff = Staff()
    async with employed(staff) as (workers, _):
        await workers.begin()
        old = [await staff.listens(1), await staff.listens(2)]
        workers.renew()
        events = [await staff.says() for _ in range(5)]
        workers.drain()
    new = {event.worker: event.pid for event in events if isinstance(event, Listening)}
    assert list(new) == [1, 2]
    assert not set(new.values()) & set(old)
    assert Renewed() in events
    for number, pid in enumerate(old, 1):
        successor = events.index(Listening(number, new[number]))
        assert successor < events.index(Ended(number, pid, 0))


@pytest.mark.parametrize("manner", ["broken", "none"])
async def test_worker_that_cannot_be_replaced_stays(manner: str) -> None:
    staff = Staff("good", "good", manner)
    async with employed(staff) as (workers, _):
        await workers.begin()
        old = [await staff.listens(1), await staff.listens(2)]
        workers.renew()
        why = await staff.says()
        assert isinstance(why, Ended | NotStarted)
        assert (why.worker, why.pause) == (1, None)
        assert await staff.says() == Renewed(failed=1)
        workers.drain()
        ended = [await staff.says(), await staff.says()]
    assert {event.pid for event in ended if isinstance(event, Ended)} == set(old)


async def test_renewals_during_a_renewal_add_one_round() -> None:
    staff = Staff("good", "good", "good", "late")
    async with employed(staff, 3) as (workers, _):
        await workers.begin()
        for _ in range(3):
            assert isinstance(await staff.says(), Listening)
        workers.renew()
        await staff.has_someone_late()  # the first successor
        for _ in range(30):
            workers.renew()
        staff.let_the_late_begin()
        events = [await staff.says()]
        while Renewed() not in events:
            events.append(await staff.says())
        # In the first round, the other posts get new enough workers. The first may have old
        # code.
        listening = [event.worker for event in events if isinstance(event, Listening)]
        assert listening == [1, 2, 3, 1]
        assert len(staff.started) == 7
        workers.drain()


async def test_second_renewal_ends_a_start_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LONG_START", 0)
    staff = Staff("good", "late")
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        old = await staff.listens(1)
        workers.renew()
        await staff.has_someone_late()
        workers.renew()
        new = await staff.listens(1)
        events = [await staff.says(), await staff.says()]
        assert sorted(events, key=repr) == [Ended(1, old, 0), Renewed()]
        workers.drain()
        assert await staff.says() == Ended(1, new, 0)


async def test_failed_start_is_retried_after_another_renewal() -> None:
    staff = Staff("good", "late", "broken")
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        old = await staff.listens(1)
        workers.renew()
        await staff.has_someone_late()
        workers.renew()
        staff.started[-1].kill()
        assert await staff.says() == Ended(1, staff.started[-1].pid, -signal.SIGKILL)
        broken = await staff.says()
        assert isinstance(broken, Ended)
        assert broken.status == 2
        assert await staff.says() == Renewed(failed=1)  # there was no other attempt
        workers.renew()
        new = await staff.listens(1)
        events = [await staff.says(), await staff.says()]
        assert sorted(events, key=repr) == [Ended(1, old, 0), Renewed()]
        workers.drain()
        assert await staff.says() == Ended(1, new, 0)


async def test_vacant_post_goes_to_the_younger_worker() -> None:
    staff = Staff("good", "late")
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        pid = await staff.listens(1)
        os.kill(pid, signal.SIGKILL)
        assert await staff.says() == Ended(1, pid, -signal.SIGKILL, 0)
        await staff.has_someone_late()
        workers.renew()
        younger = await staff.listens(1)
        assert await staff.says() == Renewed()
        staff.let_the_late_begin()
        older = await staff.listens(1)
        assert await staff.says() == Ended(1, older, 0)
        workers.drain()
        assert await staff.says() == Ended(1, younger, 0)


async def test_vacant_post_is_not_filled_again_after_a_renewal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "LONGEST_PAUSE", 0.3)
    staff = Staff("good", "broken")
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        os.kill(await staff.listens(1), signal.SIGKILL)
        assert isinstance(await staff.says(), Ended)
        broken = await staff.says()
        assert isinstance(broken, Ended)
        assert broken.pause == 0.3
        workers.renew()
        only = await staff.listens(1)
        assert await staff.says() == Renewed()
        await trio.testing.wait_all_tasks_blocked(0.5)  # until the pause is over
        workers.drain()
        assert await staff.says() == Ended(1, only, 0)


async def test_drain_interrupts_a_pause_and_starts_no_successor() -> None:
    staff = Staff("good", "broken", "broken", "broken", "broken", "broken")
    async with employed(staff, 1) as (workers, _):
        await workers.begin()
        os.kill(await staff.listens(1), signal.SIGKILL)
        for _ in range(3):
            event = await staff.says()
        assert isinstance(event, Ended)
        assert event.pause == 2
        workers.drain()
        workers.renew()
        started = len(staff.manners)
    assert len(staff.manners) == started


@pytest.mark.parametrize(
    ("manner", "status"),
    [
        ("late", -signal.SIGTERM),  # at once
        ("late and stubborn", 0),  # it reads the order as soon as it reads anything
    ],
)
async def test_drain_ends_a_worker_that_is_starting(manner: str, status: int) -> None:
    staff = Staff(manner)
    async with employed(staff, 1) as (workers, _):
        failures = []

        async def begin() -> None:
            failures.append(await workers.begin())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await staff.has_someone_late()
            workers.drain()
            if manner != "late":
                staff.let_the_late_begin()
    assert failures == [None]
    assert staff.started[0].returncode == status


@pytest.mark.parametrize("start", [Workers.begin, Workers.renew])
async def test_worker_drained_while_starting_is_not_a_failure(start: object) -> None:
    staff = Staff("good", "late") if start is Workers.begin else Staff("good", "good", "late")
    async with employed(staff) as (workers, _):
        await workers.begin()
        pids = [await staff.listens(1)]
        if start is Workers.renew:
            pids.append(await staff.listens(2))
            workers.renew()
        await staff.has_someone_late()
        workers.drain()
        ended = {await staff.says() for _ in pids}
    assert ended == {Ended(number, pid, 0) for number, pid in enumerate(pids, 1)}
    assert staff.has_said_all()
    assert staff.started[-1].returncode == -signal.SIGTERM


async def test_cancellation_ends_all_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "OVERTIME", 0.1)
    staff = Staff("good", "stubborn")
    async with employed(staff) as (workers, scope):
        await workers.begin()
        pids = [await staff.listens(1), await staff.listens(2)]
        scope.cancel()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_worker_that_listens_is_not_interrupted_by_sigterm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rooms, "OVERTIME", 0.1)
    staff = Staff("busy")
    async with employed(staff, 1) as (workers, scope):
        await workers.begin()
        await staff.listens(1)
        scope.cancel()
    assert staff.started[0].returncode == -signal.SIGKILL  # SIGTERM would have ended it


@pytest.mark.parametrize("end", [Workers.drain, Workers.renew])
async def test_worker_that_does_not_end_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch, end: object
) -> None:
    monkeypatch.setattr(rooms, "OVERTIME", 0.1)
    monkeypatch.setattr(rooms, "REMAIN", 0)
    staff = Staff("stubborn")
    async with employed(staff, 1, grace=0) as (workers, _):
        await workers.begin()
        pid = await staff.listens(1)
        assert callable(end)
        end(workers)
        events = [await staff.says()]
        while Ended(1, pid, -signal.SIGKILL) not in events:
            events.append(await staff.says())
        workers.drain()


# The command


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(
    *arguments: str,
    before: Sequence[str] = (),
    workers: str = "2",
    bind: str = "127.0.0.1:0",
    stderr: int = subprocess.PIPE,
) -> AbstractAsyncContextManager[Program]:
    """Start the command with workers; leaving the block ends it."""
    command = [*before, sys.executable, "-P", "-m", "trio_http", *arguments]
    command += ["--workers", workers, "--bind", bind]
    return support.started(command, stderr=stderr, unwanted=ACCESS, patience=PATIENCE)


async def begin_upload(client: Client, name: str = "new") -> None:
    """Begin a request of ten bytes, and wait until the app handles it."""
    head = f"POST /files/{name} HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n"
    await client.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
    assert (await client.response("HEAD")).status == 100


def app(text: str) -> str:
    """Return the source of a module whose app responds with the value of this expression."""
    return (
        "import os, sys\n"
        "from trio_http import Request, Response\n"
        f"async def app(request: Request): return Response.text(str({text}))\n"
    )


async def test_log_reports_the_server_once_and_each_worker() -> None:
    async with started("challenge", "--log-level", "info") as program:
        port = await program.port()
        first, second = await program.pids()
        program.signal(signal.SIGTERM)
        assert await program.process.wait() == 0
        await program.all_ended.wait()
    lines = [line[24:] for line in program.errors.splitlines()]
    assert sorted(lines) == sorted(
        [
            f"INFO    [WORKER 1] pid {first} is listening",
            (
                f"INFO    [SERVER STARTED] Listening on 127.0.0.1:{port}, "
                f"reachable at http://127.0.0.1:{port}"
            ),
            f"INFO    [WORKER 2] pid {second} is listening",
            "INFO    [SERVER STOPPING] SIGTERM; a second signal stops at once",
            f"INFO    [WORKER 1] pid {first} has ended",
            f"INFO    [WORKER 2] pid {second} has ended",
            "INFO    [SERVER STOPPED]",
        ]
    )
    assert lines[-1] == "INFO    [SERVER STOPPED]"


async def test_workers_share_the_address_and_the_interpreters_options(folder: Path) -> None:
    text = f"(os.getpid(), sys.flags.safe_path, {WORKER!r} in os.environ)"
    (folder / "module.py").write_text(app(text))
    async with started("app", "module:app") as program:
        port = await program.port()
        pids = await program.pids()
        answers = set()
        for _ in range(40):
            async with connected(port) as client:
                answers.add((await client.get("/")).body.decode())
    assert answers == {f"({pid}, True, False)" for pid in pids}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_workers_drain_on_the_first_signal_and_stop_on_the_second(
    folder: Path, number: signal.Signals
) -> None:
    async with (
        started("challenge", "--directory", ".", "--log-level", "info") as program,
        connected(await program.port()) as first,
        connected(await program.port()) as second,
    ):
        await program.pids()
        await begin_upload(first, "first")
        await begin_upload(second, "second")
        program.signal(number)
        await program.says(r"\[SERVER STOPPING\]")
        await first.send(b"0123456789")
        assert (await first.response()).status == 201
        assert await first.rest() == b""
        program.signal(number)
        with trio.fail_after(5):  # half of the grace
            assert await program.process.wait() == 0
            await program.all_ended.wait()
        assert "Traceback" not in program.errors
    assert os.listdir(folder) == ["first"]  # noqa: PTH208 - no other task waits for it


async def test_draining_workers_are_not_replaced(folder: Path) -> None:
    async with (
        started("challenge", "--directory", ".") as program,
        connected(await program.port()) as client,
    ):
        await program.pids()
        await begin_upload(client)
        program.signal(signal.SIGTERM)
        await program.says(r"\[SERVER STOPPING\]")
        program.signal(signal.SIGHUP)  # SIGHUP starts no worker now
        await client.send(b"0123456789")
        assert (await client.response()).status == 201
        await client.stream.aclose()
        assert await program.process.wait() == 0
        await program.all_ended.wait()
        assert "RENEW" not in program.errors


async def test_terminal_signals_reach_only_the_parent() -> None:
    async with started("challenge") as program:
        pids = await program.pids()
        assert [os.getpgid(pid) for pid in pids] == pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_to_every_process_drains_the_service(
    folder: Path, number: signal.Signals
) -> None:
    async with (
        started("challenge", "--directory", ".") as program,
        connected(await program.port()) as client,
    ):
        pids = await program.pids()
        await begin_upload(client)
        for pid in (*pids, program.process.pid, *pids):
            os.kill(pid, number)
        await program.says(r"\[SERVER STOPPING\]")
        await client.send(b"0123456789")
        assert (await client.response()).status == 201
        await client.stream.aclose()
        assert await program.process.wait() == 0


async def test_killed_worker_is_replaced_and_its_clients_wait() -> None:
    async with started("challenge") as program, trio.open_nursery() as nursery:
        port = await program.port()
        for pid in await program.pids():
            os.kill(pid, signal.SIGKILL)

        async def ask() -> None:
            async with connected(port) as client:
                assert (await client.get("/")).status == 200

        for _ in range(20):
            nursery.start_soon(ask)
        await program.says(r"was killed by signal 9; restarting now\n", 2)


async def test_workers_finish_and_end_when_their_parent_is_killed(folder: Path) -> None:
    async with (
        started("challenge", "--directory", ".") as program,
        connected(await program.port()) as client,
        connected(await program.port()) as idle,
    ):
        await program.pids()
        await begin_upload(client)
        program.process.kill()
        assert await idle.rest() == b""
        await client.send(b"0123456789")
        assert (await client.response()).status == 201
        assert await client.rest() == b""
        await client.stream.aclose()
        await idle.stream.aclose()
        await program.all_ended.wait()


async def test_renewal_under_load_loses_no_request(folder: Path) -> None:
    (folder / "module.py").write_text(app("1"))
    versions: Counter[bytes] = Counter()
    over = trio.Event()

    async def come_anew(port: int) -> None:
        while not over.is_set():
            async with connected(port) as client:
                answer = await client.get("/")
                assert answer.status == 200
                versions[answer.body] += 1

    async def stay(port: int) -> None:
        while not over.is_set():
            async with connected(port) as client:
                closes = False
                while not (closes or over.is_set()):
                    answer = await client.get("/")
                    assert answer.status == 200
                    versions[answer.body] += 1
                    closes = answer.headers.get("Connection") == "close"

    async with started("app", "module:app") as program, trio.open_nursery() as nursery:
        port = await program.port()
        old = await program.pids()
        for _ in range(4):
            nursery.start_soon(come_anew, port)
            nursery.start_soon(stay, port)
        (folder / "module.py").write_text(app("22"))
        for times in (1, 2):
            program.signal(signal.SIGHUP)
            await program.says(r"\[SERVER RENEWING\] SIGHUP", times)
            await program.says(r"\[SERVER RENEWED\]", times)
            # An old worker may accept a client until it has received its order to retire.
            await program.says(r"pid \d+ has ended", 2 * times)
            for _ in range(10):
                async with connected(port) as client:
                    assert (await client.get("/")).body == b"22"
        over.set()
        assert "ERROR" not in program.errors
        new = (await program.pids(6))[2:]
        assert not set(new) & set(old)
    assert versions[b"1"] > 0
    assert versions[b"22"] > 0


async def test_broken_module_leaves_all_workers_running(folder: Path) -> None:
    (folder / "module.py").write_text(app("1"))
    async with started("app", "module:app") as program:
        port = await program.port()
        await program.pids()
        (folder / "module.py").write_text("1 / 0")
        program.signal(signal.SIGHUP)
        await program.says(r"cannot load module:app: ZeroDivisionError")
        await program.says(r"\[WORKER 1\] pid \d+ exited with status 2\n")
        await program.says(r"\[SERVER NOT RENEWED\]")
        for _ in range(10):
            async with connected(port) as client:
                assert (await client.get("/")).body == b"1"


@pytest.mark.parametrize(
    ("arguments", "bind", "expected"),
    [
        ("challenge --directory nowhere", "127.0.0.1:0", "cannot serve nowhere"),
        ("app broken:app", "127.0.0.1:0", "cannot load broken:app: ZeroDivisionError"),
        ("challenge", "192.0.2.1:0", "cannot listen on 192.0.2.1:0"),
        ("challenge", "a..b:0", "not a valid host name"),
    ],
)
async def test_wrong_option_is_one_line_as_without_workers(
    folder: Path, arguments: str, bind: str, expected: str
) -> None:
    (folder / "broken.py").write_text("1 / 0")
    async with started(*arguments.split(), bind=bind) as program:
        assert await program.process.wait() == 2
        await program.all_ended.wait()
        assert expected in program.errors
        assert program.errors.count("\n") == 1


async def test_too_many_workers_for_the_descriptors_are_one_line() -> None:
    few = ["sh", "-c", 'ulimit -n 50; exec "$@"', "sh"]
    async with started("challenge", before=few, workers="60") as program:
        assert await program.process.wait() == 2
        await program.all_ended.wait()
    told = r"trio-http: cannot listen on 127\.0\.0\.1:\d+: Too many open files\n"
    assert re.fullmatch(told, program.errors)


async def test_first_worker_that_dies_ends_the_command(folder: Path) -> None:
    (folder / "module.py").write_text("import os; os._exit(3)")
    async with started("app", "module:app") as program:
        assert await program.process.wait() == 1
        await program.all_ended.wait()
        assert re.search(r"ERROR   \[WORKER 1\] pid \d+ exited with status 3\n$", program.errors)


async def test_workers_run_without_standard_streams(folder: Path) -> None:
    os.mkfifo("told")
    told = os.open("told", os.O_RDWR)
    (folder / "module.py").write_text(
        "import os\n"
        "from trio_http import Request\n"
        "async def app(request: Request): ...\n"
        f"os.write(os.open({str(folder / 'told')!r}, os.O_WRONLY), b'.')\n"
    )
    redirected = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    with os.fdopen(told, "rb", 0) as worker:
        async with started("app", "module:app", before=redirected) as program:
            for _ in range(2):  # the second is started when the first is listening
                await trio.lowlevel.wait_readable(worker)
                assert worker.read(1) == b"."
            program.signal(signal.SIGTERM)
            assert await program.process.wait() == 0


async def test_closed_terminal_ends_the_server() -> None:
    ours, theirs = os.openpty()
    async with started("challenge", stderr=theirs) as program:
        os.close(theirs)
        errors = ""
        while errors.count("is listening") < 2:
            await trio.lowlevel.wait_readable(ours)
            errors += os.read(ours, 65536).decode()
        os.close(ours)
        program.signal(signal.SIGHUP)
        assert await program.process.wait() == 0
