"""Worker processes that serve the same addresses, and their supervisor in the parent.

Each worker has a post: a number, and listening sockets, which belong to the parent and outlive
the worker. A successor takes over the accept queue of its post, so no client is lost, however a
worker ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import trio

from trio_http.serving.listeners import close_queues
from trio_http.serving.worker_channel import DRAIN, READY, RETIRE, STOP, Channel

# Seconds after which a worker has survived the cause of its predecessor's end.
DID_WELL = 30
# Maximum seconds between starts that fail: rare enough to cost nothing, often enough to restore
# service soon after the cause has been removed.
LONGEST_PAUSE = 32

# Seconds that a retiring worker waits for another request: busy clients send one within that.
REMAIN = 5
# Seconds after which another call of ``renew`` cancels a start that may hang.
LONG_START = 30
# Seconds that a worker may need to end in addition to its grace, on a busy machine.
OVERTIME = 5


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker has begun to serve."""

    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker has ended; ``status`` is as in ``subprocess``.

    Its successor starts after ``pause`` seconds; None: it has no successor.
    """

    worker: int
    pid: int
    status: int
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A worker could not be started; the next attempt is in ``pause`` seconds, if not None."""

    worker: int
    error: OSError
    pause: float | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """All workers have been replaced, or ``failed`` could not be: it and those after it stay."""

    failed: int | None = None


WorkerEvent: TypeAlias = Listening | Ended | NotStarted | Renewed

Start: TypeAlias = Callable[[int, Sequence[int]], Awaitable[trio.Process]]
"""Starts a worker with the descriptors of its channel and of its listening sockets."""


class FailedStartError(Exception):
    """A worker has ended before it was listening."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended: Ended = ended


def pause_after(failures: int) -> float:
    """Return the seconds to wait after ``failures`` in a row: 0, 0, then 1, 2, 4 and so on."""
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
        """Let it finish its clients' requests, including those that begin soon."""
        self.channel.tell(RETIRE)
        self._end_within(REMAIN + self._grace)

    def drain(self) -> None:
        """Let it finish its requests; end it if it is not listening yet."""
        self.channel.tell(DRAIN)
        if not self.listens:  # it may not read the channel for a long time
            self.process.terminate()
        self._end_within(self._grace)

    def _end_within(self, seconds: float) -> None:
        self.life.deadline = trio.current_time() + seconds + OVERTIME

    async def stop(self) -> None:
        """End it at once, if it has not ended yet."""
        with trio.CancelScope(shield=True):
            self.channel.tell(STOP)
            if not self.listens:
                # It may not read the channel either. A worker that listens may be ending
                # already, and a signal would interrupt that.
                self.process.terminate()
            with trio.move_on_after(OVERTIME) as patience:
                await self.process.wait()
            if patience.cancelled_caught:
                self.process.kill()
                await self.process.wait()


class _Post:
    """A worker's number and sockets, and its present process."""

    def __init__(self, number: int, queue: Sequence[trio.SocketListener]) -> None:
        self.number = number
        self.descriptors = [listener.socket.fileno() for listener in queue]
        self.worker: _Worker | None = None
        self.generation = 0  # of the last worker at this post
        self.failures = 0

    def take(self, worker: _Worker) -> None:
        """Give the post to a worker; the older of it and its predecessor retires."""
        older, younger = self.worker, worker
        if older is not None and older.began > younger.began:
            older, younger = younger, older
        self.worker = younger
        self.generation = younger.generation
        if older is not None:
            older.retire()

    def lose(self, worker: _Worker) -> None:
        """Record that this worker has ended by itself."""
        did_well = trio.current_time() - worker.began >= DID_WELL
        self.failures = 1 if did_well else self.failures + 1
        self.worker = None

    @property
    def pause(self) -> float:
        """Seconds to wait before the next worker is started."""
        return pause_after(self.failures)


class Workers:
    """Keeps a worker running at each post, and replaces each that ends."""

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
        self._generation = 0  # calls of ``renew``: older workers may run old code
        self._renews = False
        self._attempt, self._latest = trio.CancelScope(), trio.current_time()
        self._ending = trio.Event()

    async def begin(self) -> Ended | NotStarted | None:
        """Start the first worker, and the others when it listens; or return how it failed.

        If the first cannot serve, no other could. Later failures are retried again and again,
        to keep the service up.
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
        """Replace all workers that were started before this call, one after the other.

        A renewal in progress goes on until all workers are new, so that no worker is replaced
        more often than others, however often this is called.
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
        """Close the sockets, let all workers finish their requests, and replace none."""
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
                    # The old worker stays until the new one listens.
                    await self._nursery.start(self._work, post)
            except (FailedStartError, OSError) as error:
                self._report(_event_of(post.number, error))
                # The cause may have been removed before a later call of ``renew``.
                failed = post.number if order == self._generation else None
        self._renews = False
        if not self._ending.is_set():
            self._report(Renewed(failed))

    def _outdated(self) -> _Post | None:
        """Return the post with the oldest worker, unless all are new or the server is ending."""
        oldest = min(self._posts, key=lambda post: post.generation)
        is_new = oldest.generation == self._generation
        return None if is_new or self._ending.is_set() else oldest

    async def _fill(self, post: _Post) -> None:
        """Start a worker at a vacant post, with as many attempts as it takes."""
        while not await self._ends_within(post.pause) and post.worker is None:
            try:
                await self._nursery.start(self._work, post)
            except (FailedStartError, OSError) as error:
                if not self._ending.is_set():  # a worker that ends at a shutdown has not failed
                    post.failures += 1
                    self._report(_event_of(post.number, error, post.pause))
            else:
                return  # ``_work`` replaces this worker when it ends

    async def _ends_within(self, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            await self._ending.wait()
        return self._ending.is_set()

    async def _work(self, post: _Post, *, task_status: trio.TaskStatus[None]) -> None:
        """Run one worker until it ends, then replace it if the end was not planned.

        The task has started when the worker listens. ``FailedStartError`` means that it never did.
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
        generation = self._generation  # before the worker loads its code
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
