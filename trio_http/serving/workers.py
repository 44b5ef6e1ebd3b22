"""Processes that serve the same addresses, and the one that sees to it that they do.

Each worker has a post: a number, and the sockets to listen on, which are the
parent's and outlive it. Whoever comes to a post after it takes over the queue of
clients that is there, so that none is lost, however a worker ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import trio

from trio_http.serving.listeners import close_queues
from trio_http.serving.worker_channel import DRAIN, READY, RETIRE, STOP, Channel

# A worker that has done well for so long has not met what ended its predecessor.
DID_WELL = 30
# Between starts that fail, at most: seldom enough to cost nothing, often enough
# for service to be back soon after whatever is wrong has been mended.
LONGEST_PAUSE = 32

# How long a worker that retires waits for requests on connections that are kept:
# clients that are busy send their next one within that time.
REMAIN = 5
# After so long, another order to renew ends a start that may hang in what was mended.
LONG_START = 30
# What a worker takes to end beyond what it gives its clients, on a busy machine.
OVERTIME = 5


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker has begun to serve."""

    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended, with a status as ``subprocess`` has it.

    Its successor starts after so many seconds; None where there is none to be.
    """

    worker: int
    pid: int
    status: int
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class NotStarted:
    """There was no process to be had for a worker; the next attempt, if any, is in so long."""

    worker: int
    error: OSError
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """All workers have been replaced, or one could not be, and those after it stay."""

    failed: int | None = None


WorkerEvent: TypeAlias = Listening | Ended | NotStarted | Renewed

Start: TypeAlias = Callable[[int, Sequence[int]], Awaitable[trio.Process]]
"""Starts a worker with the descriptors of its channel and of the sockets to listen on."""


class FailedStartError(Exception):
    """A worker has ended before it was listening."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended: Ended = ended


def pause_after(failures: int) -> float:
    """How long to wait after so many failures in a row: not at all, then 1 s, 2 s, 4 s."""
    return 0 if failures < 2 else min(2.0 ** min(failures - 2, 16), LONGEST_PAUSE)


class _Worker:
    """A running process, and the way to end it."""

    def __init__(
        self, process: trio.Process, channel: Channel, generation: int, grace: float
    ) -> None:
        self.process = process
        self.channel = channel
        self.generation = generation
        self.began = trio.current_time()
        self.listens = False
        self.life = trio.CancelScope()
        self._grace = grace

    def retire(self) -> None:
        """Let it finish what its clients have begun, and also what they begin soon."""
        self.channel.tell(RETIRE)
        self._end_within(REMAIN + self._grace)

    def drain(self) -> None:
        """Let it finish what it is doing; where it does not listen yet, that is nothing."""
        self.channel.tell(DRAIN)
        if not self.listens:  # it may not hear us for long
            self.process.terminate()
        self._end_within(self._grace)

    def _end_within(self, seconds: float) -> None:
        self.life.deadline = trio.current_time() + seconds + OVERTIME

    async def stop(self) -> None:
        """End it at once, if it has not ended yet."""
        with trio.CancelScope(shield=True):
            self.channel.tell(STOP)
            if not self.listens:
                # Neither to us, perhaps. One that does may be ending already, and a
                # signal would break into that.
                self.process.terminate()
            with trio.move_on_after(OVERTIME) as patience:
                await self.process.wait()
            if patience.cancelled_caught:
                self.process.kill()
                await self.process.wait()


class _Post:
    """What a worker is there for, and who it is now."""

    def __init__(self, number: int, queue: Sequence[trio.SocketListener]) -> None:
        self.number = number
        self.descriptors = [listener.socket.fileno() for listener in queue]
        self.worker: _Worker | None = None
        self.generation = 0  # that of the last worker that had it
        self.failures = 0

    def take(self, worker: _Worker) -> None:
        """Give the post to a worker; who has it retires, or the new one, if that is the older."""
        older, younger = self.worker, worker
        if older is not None and older.began > younger.began:
            older, younger = younger, older
        self.worker = younger
        self.generation = younger.generation
        if older is not None:
            older.retire()

    def lose(self, worker: _Worker) -> None:
        """Be without this worker, which has ended by itself."""
        did_well = trio.current_time() - worker.began >= DID_WELL
        self.failures = 1 if did_well else self.failures + 1
        self.worker = None

    @property
    def pause(self) -> float:
        """How long to wait before the next worker is started."""
        return pause_after(self.failures)


class Workers:
    """A worker at each post, and another in its place whenever one ends."""

    def __init__(
        self,
        nursery: trio.Nursery,
        start: Start,
        queues: Sequence[Sequence[trio.SocketListener]],
        report: Callable[[WorkerEvent], None],
        grace: float,
    ) -> None:
        self._nursery = nursery
        self._start = start
        self._queues = queues
        self._posts = [_Post(number, queue) for number, queue in enumerate(queues, 1)]
        self._report = report
        self._grace = grace
        self._running: set[_Worker] = set()
        self._generation = 0  # orders to renew: who is older than the last may have old code
        self._renews = False
        self._attempt, self._latest = trio.CancelScope(), trio.current_time()
        self._ending = trio.Event()

    async def begin(self) -> Ended | NotStarted | None:
        """Start the first worker, and when it listens all others; or tell how it failed.

        Where one cannot serve, no other would. Later on, those that fail are
        started again and again: there is service to be kept up then.
        """
        first, *others = self._posts
        try:
            await self._nursery.start(self._work, first)
        except (FailedStartError, OSError) as error:
            return None if self._ending.is_set() else _event_of(first.number, error)
        for post in others:
            self._nursery.start_soon(self._fill, post)
        return None

    def renew(self) -> None:
        """Replace all workers that were started before this moment, one after the other.

        A renewal that is under way goes on until all are new, so that no worker is
        replaced more often than others, however often this is asked for.
        """
        if self._ending.is_set():
            return
        self._generation += 1
        if self._renews:
            self._attempt.deadline = self._latest
        else:
            self._renews = True
            self._nursery.start_soon(self._renew)

    def drain(self) -> None:
        """Close the sockets, let all workers finish what they are doing, and replace none."""
        close_queues(self._queues)
        self._ending.set()
        self._attempt.cancel()
        for worker in self._running:
            worker.drain()

    async def _renew(self) -> None:
        failed = None
        while failed is None and (post := self._outdated()):
            order, self._latest = self._generation, trio.current_time() + LONG_START
            try:
                with trio.CancelScope() as self._attempt:
                    # The old one stays until the new one listens.
                    await self._nursery.start(self._work, post)
            except (FailedStartError, OSError) as error:
                self._report(_event_of(post.number, error))
                # What it failed for may have been mended before another order.
                failed = post.number if order == self._generation else None
        self._renews = False
        if not self._ending.is_set():
            self._report(Renewed(failed))

    def _outdated(self) -> _Post | None:
        """Return the post with the oldest code, if there may be newer code, and use for it."""
        oldest = min(self._posts, key=lambda post: post.generation)
        is_new = oldest.generation == self._generation
        return None if is_new or self._ending.is_set() else oldest

    async def _fill(self, post: _Post) -> None:
        """Have a worker at a post that has none, however many attempts it takes."""
        while not await self._ends_within(post.pause) and post.worker is None:
            try:
                await self._nursery.start(self._work, post)
            except (FailedStartError, OSError) as error:
                if not self._ending.is_set():  # whoever ends while it is told to has not failed
                    post.failures += 1
                    self._report(_event_of(post.number, error, post.pause))
            else:
                return  # that one sees to its successor, who may be needed by now

    async def _ends_within(self, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            await self._ending.wait()
        return self._ending.is_set()

    async def _work(self, post: _Post, *, task_status: trio.TaskStatus[None]) -> None:
        """Have one worker, from its start to its end, and then another if that was not planned.

        It has started when it listens; ``FailedStartError`` says that it never did.
        """
        worker = await self._run_one(post, task_status)
        status = worker.process.returncode or 0
        ended = Ended(post.number, worker.process.pid, status)
        if not worker.listens:
            raise FailedStartError(ended)
        if post.worker is worker and not self._ending.is_set():
            post.lose(worker)
            self._report(replace(ended, pause=post.pause))
            await self._fill(post)
        else:
            self._report(ended)

    async def _run_one(self, post: _Post, task_status: trio.TaskStatus[None]) -> _Worker:
        generation = self._generation  # before it loads its code
        ours, theirs = Channel.pair()
        with ours:
            with theirs:
                process = await self._start(theirs.descriptor, post.descriptors)
            worker = _Worker(process, ours, generation, self._grace)
            self._running.add(worker)
            try:
                with worker.life:
                    if await ours.hear() == READY:
                        worker.listens = True
                        post.take(worker)
                        self._report(Listening(post.number, process.pid))
                        task_status.started()
                    await process.wait()
            finally:
                await worker.stop()
                self._running.discard(worker)
        return worker


def _event_of(
    number: int, error: FailedStartError | OSError, pause: float | None = None
) -> Ended | NotStarted:
    if isinstance(error, FailedStartError):
        return replace(error.ended, pause=pause)
    return NotStarted(number, error, pause)
