"""Threads for calls that may never return, such as those to a file system whose server is gone.

Nothing ends such a call, so no task waits for its thread: a task that is
cancelled goes on without it. Hence one rule: a descriptor is never closed while
a thread may use it, because its number soon is that of another file. A thread
is given duplicates, or a ``Custody``, and closes these itself where the task has gone.
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

# Seconds until a thread must be free. When all threads have been busy for so
# long, a disk or a server of files does not answer.
PATIENCE = 10.0

# Seconds for which a cancelled task waits for its thread. All but those that hang
# end within it, and so what they have open is closed when the task is over.
MOMENT = 1.0


class Threads:
    """A number of threads for one purpose, which those for other purposes cannot use up.

    Waiting for one raises ``HTTPError`` 503 after ``patience`` seconds.
    """

    def __init__(self, purpose: str, most: int, patience: float | None = None) -> None:
        self._most = most
        self._patience = patience
        # Each run of Trio has its own, because a thread that is abandoned when a
        # run ends never gives its place back.
        self._limiters: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar(purpose)

    @property
    def limiter(self) -> trio.CapacityLimiter:
        """What counts the threads, those that were abandoned included."""
        try:
            return self._limiters.get()
        except LookupError:
            limiter = trio.CapacityLimiter(self._most)
            self._limiters.set(limiter)
            return limiter

    async def run(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Call ``work`` in a thread, and return what it returns.

        A task that is cancelled waits for a moment, and leaves a thread that
        takes longer to itself. Then nobody hears of what it returns or raises.
        """
        patience = PATIENCE if self._patience is None else self._patience
        place = _Place(self.limiter, patience)
        # Trio asks for no more than these two methods, says its documentation.
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

        Where there are no descriptors to spare it gets these themselves, and
        even a task that is cancelled waits for the thread.
        """
        with Custody() as custody:
            try:
                own = [custody.duplicate(descriptor) for descriptor in descriptors]
            except OSError:
                return await trio.to_thread.run_sync(work, *descriptors, limiter=self.limiter)

            def call() -> T:
                # Closed by the thread, because some file systems ask their server even then.
                with custody.held:
                    return work(*own)

            return await custody.run(self, call)


class _Place:
    """A place among the threads of a limiter, as Trio takes it and gives it back."""

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
        raise HTTPError(503, "the file system does not answer", {"Retry-After": "10"})

    def release_on_behalf_of(self, borrower: object) -> None:
        self._limiter.release_on_behalf_of(borrower)
        self.given_back.set()


class Custody:
    """What a task and its threads have open: whichever has it last closes it.

    Leaving the block closes what is ``held``, unless a thread is at work with it.
    Then that thread closes it in the end.
    """

    def __init__(self) -> None:
        self.held: ExitStack = ExitStack()
        """For a thread within ``run``, and for the task at any other time."""
        # Whoever takes this out may use what is held. Taking out is atomic.
        self._turn = deque([self.held])
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._close()

    async def aclose(self) -> None:
        """Do what leaving the block does, in a thread that is waited for a moment."""
        self._is_over = True
        with trio.move_on_after(MOMENT, shield=True):
            # There is one for each thread that could hang, so it needs no limit of its own.
            await trio.to_thread.run_sync(
                self._close, abandon_on_cancel=True, limiter=trio.CapacityLimiter(math.inf)
            )

    def duplicate(self, descriptor: int) -> int:
        """A duplicate of a descriptor, which is held."""
        duplicate = os.dup(descriptor)
        self.held.callback(os.close, duplicate)
        return duplicate

    async def run(
        self, threads: Threads, work: Callable[[*Arguments], T], *arguments: *Arguments
    ) -> T:
        """Call ``work`` in a thread, which may use what is held."""

        def call() -> T:
            turn = self._turn.pop()  # no more there if all is over: nobody hears that it fails
            try:
                return work(*arguments)
            finally:
                self._turn.append(turn)
                if self._is_over:
                    self._close()

        return await threads.run(call)

    def _close(self) -> None:
        with suppress(IndexError):  # a thread has it
            self._turn.pop().close()


def close_in_thread(descriptor: int) -> None:
    """Close a descriptor where that may have to wait for another machine; return at once."""
    trio.lowlevel.start_thread_soon(lambda: os.close(descriptor), lambda _: None)
