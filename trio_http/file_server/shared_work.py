"""Work that several requests need at once: done once, cancelled when no request waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import trio

Result = TypeVar("Result")


class SharedWork(Generic[Result]):
    """Runs each piece of work once, however many tasks wait for its result.

    The work runs in a nursery of its own, because any of the waiting tasks may be cancelled
    while the others go on. With the last of them, the work is cancelled.

    Args:
        nursery: outlives all tasks that wait.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._running: dict[Hashable, _Work[Result]] = {}

    async def of(
        self, key: Hashable, prepare: Callable[[], Callable[[], Awaitable[Result]]]
    ) -> Result:
        """Return the result of the work with this key.

        Args:
            key: equal for equal work.
            prepare: called at once if no such work is running; returns the function that does
                it. What the function needs must not belong to the calling task, which may end
                first.

        Raises:
            RuntimeError: the nursery has been cancelled.
            Exception: whatever the work raises, in every task that waits for it.
        """
        work = self._running.get(key)
        if work is None:
            function = prepare()
            work = self._running[key] = _Work()
            self._nursery.start_soon(self._run, key, work, function)
        work.waiting += 1
        try:
            await work.is_over.wait()
        finally:
            work.waiting -= 1
            if not work.waiting:
                self._forget(key, work)
                work.scope.cancel()
        return work.result()

    async def _run(
        self, key: Hashable, work: _Work[Result], function: Callable[[], Awaitable[Result]]
    ) -> None:
        try:
            with work.scope:
                work.results.append(await function())
        except Exception as error:  # noqa: BLE001 - raised again in the tasks that wait
            work.error = error
        finally:
            self._forget(key, work)
            work.is_over.set()

    def _forget(self, key: Hashable, work: _Work[Result]) -> None:
        """Let the next task with this key begin anew."""
        if self._running.get(key) is work:
            del self._running[key]


class _Work(Generic[Result]):
    def __init__(self) -> None:
        self.waiting = 0  # tasks
        self.scope = trio.CancelScope()
        self.is_over = trio.Event()
        self.results: list[Result] = []  # one, as soon as the work is done
        self.error: Exception = RuntimeError("the lifetime that the work belongs to has ended")

    def result(self) -> Result:
        if not self.results:
            raise self.error
        return self.results[0]
