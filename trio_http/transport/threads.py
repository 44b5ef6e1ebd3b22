"""Threads for calls that may never return, for example to a file system that has lost its server.

Nothing can end such a call, so no task waits for its thread: a cancelled task goes on without
it. Hence one rule: a descriptor is never closed while a thread may use it, because another file
soon gets the same number. A thread is given duplicates, or a ``Custody``, and closes them
itself if its task has gone.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Self, TypeVar, TypeVarTuple, cast

import trio

from trio_http.semantics.errors import HTTPError

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

# Seconds until a thread must be free. When all threads have been busy for that long, a disk or
# a file server does not respond.
PATIENCE = 10.0

# Seconds for which a cancelled task waits for its thread. All threads that do not hang end
# within it, so everything that they opened is closed when the task is over.
MOMENT = 1.0


class Threads:
    """A limited number of threads for one purpose, separate from those for other purposes.

    Waiting for a free one raises ``HTTPError`` 503 after ``patience`` seconds.
    """

    def __init__(self, purpose: str, most: int, patience: float | None = None) -> None:
        self._most = most
        self._patience = patience
        # Each run of Trio has its own limiter, because a thread that is still abandoned when a
        # run ends never returns its token.
        self._limiters: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar(purpose)

    @property
    def limiter(self) -> trio.CapacityLimiter:
        """Counts the threads in use, including abandoned ones."""
        try:
            return self._limiters.get()
        except LookupError:
            limiter = trio.CapacityLimiter(self._most)
            self._limiters.set(limiter)
            return limiter

    async def run(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Call ``work`` in a thread, and return its result.

        A cancelled task waits for up to ``MOMENT`` seconds, then abandons the thread. The
        thread's result or exception is discarded.
        """
        patience = PATIENCE if self._patience is None else self._patience
        place = _Place(self.limiter, patience)
        # Trio's documentation says that it calls no more than these two methods.
        limiter = cast("trio.CapacityLimiter", place)
        try:
            return await trio.to_thread.run_sync(
                work, *arguments, abandon_on_cancel=True, limiter=limiter
            )
        except trio.Cancelled:
            if place.is_taken:
                with trio.move_on_after(MOMENT, shield=True):
                    await place.given_back.wait()
            raise

    async def run_with(self, descriptors: tuple[int, ...], work: Callable[..., T]) -> T:
        """Call ``work`` in a thread, with duplicates of the descriptors.

        If no descriptors are left for duplicates, ``work`` gets the originals, and even a
        cancelled task waits for the thread.
        """
        with Custody() as custody:
            try:
                own = [custody.duplicate(descriptor) for descriptor in descriptors]
            except OSError:
                return await trio.to_thread.run_sync(work, *descriptors, limiter=self.limiter)

            def call() -> T:
                # The thread closes them, because with some file systems even closing asks the
                # server.
                with custody.held:
                    return work(*own)

            return await custody.run(self, call)


class _Place:
    """A token of a limiter, with the two methods that Trio acquires and releases it with."""

    def __init__(self, limiter: trio.CapacityLimiter, patience: float) -> None:
        self._limiter = limiter
        self._patience = patience
        self.is_taken = False
        self.given_back = trio.Event()

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        try:
            self._limiter.acquire_on_behalf_of_nowait(borrower)
        except trio.WouldBlock:
            await self._wait(borrower)
        self.is_taken = True

    async def _wait(self, borrower: object) -> None:
        with trio.move_on_after(self._patience):
            return await self._limiter.acquire_on_behalf_of(borrower)
        raise HTTPError(503, "the file system does not respond", {"Retry-After": "10"})

    def release_on_behalf_of(self, borrower: object) -> None:
        self._limiter.release_on_behalf_of(borrower)
        self.given_back.set()


class Custody:
    """Resources that a task shares with its threads: the last user closes them.

    Leaving the block closes the resources in ``held``, unless a thread is using them. Then that
    thread closes them when it ends.
    """

    def __init__(self) -> None:
        self.held: ExitStack = ExitStack()
        """For use by a thread within ``run``, and by the task at any other time."""
        # Taking the stack out gives the right to use it. Taking it out is atomic.
        self._turn = deque([self.held])
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._close()

    async def aclose(self) -> None:
        """Close like leaving the block, in a thread, waiting up to ``MOMENT`` seconds for it."""
        self._is_over = True
        with trio.move_on_after(MOMENT, shield=True):
            # Each thread that could hang has its own, so they need no limit.
            await trio.to_thread.run_sync(
                self._close, abandon_on_cancel=True, limiter=trio.CapacityLimiter(math.inf)
            )

    def duplicate(self, descriptor: int) -> int:
        """Add a duplicate of a descriptor to ``held``, and return it."""
        duplicate = os.dup(descriptor)
        self.held.callback(os.close, duplicate)
        return duplicate

    async def run(
        self, threads: Threads, work: Callable[[*Arguments], T], *arguments: *Arguments
    ) -> T:
        """Call ``work`` in a thread, which may use the resources in ``held``."""

        def call() -> T:
            turn = self._turn.pop()  # fails if all is over: the error is discarded
            try:
                return work(*arguments)
            finally:
                self._turn.append(turn)
                if self._is_over:
                    self._close()

        return await threads.run(call)

    def _close(self) -> None:
        with suppress(IndexError):  # a thread is using it
            self._turn.pop().close()


def close_in_thread(descriptor: int) -> None:
    """Close a descriptor in a thread, in case that waits for another machine; return at once."""
    trio.lowlevel.start_thread_soon(lambda: os.close(descriptor), lambda _: None)
