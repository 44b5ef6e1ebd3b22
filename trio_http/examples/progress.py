"""Run jobs in the background, and report their progress.

    trio-http app trio_http.examples.progress:app
    curl -i -X POST localhost:4221/jobs
    curl -N localhost:4221/jobs/1/events

The first request starts a job of ten seconds and returns at once, with the job's path in
``Location``. The second shows its progress, and ``curl -X DELETE localhost:4221/jobs/1``
cancels it. When the server stops, it cancels the running jobs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import trio

from trio_http import HTTPError, Request, Response, Router, SendEvent, ServerSentEvent

STEPS = 10
MOST = 100  # jobs, which are kept until a client deletes them


class Job:
    """Work that takes a second per step."""

    def __init__(self) -> None:
        self.done: int = 0
        self.state: str = "running"
        self.scope: trio.CancelScope = trio.CancelScope()
        self.changed: trio.Event = trio.Event()

    async def run(self) -> None:
        """Do all steps, unless the scope is cancelled first."""
        with self.scope:
            for step in range(STEPS):
                await trio.sleep(1)  # in place of real work
                self._tell("running", step + 1)
        self._tell("cancelled" if self.scope.cancelled_caught else "finished", self.done)

    def _tell(self, state: str, done: int) -> None:
        self.state, self.done = state, done
        self.changed.set()
        self.changed = trio.Event()


@asynccontextmanager
async def app() -> AsyncIterator[Router]:
    """Serve with a nursery around the app, in which jobs outlive the requests that start them."""
    router, jobs, numbers = Router(), dict[int, Job](), count(1)

    def job_of(number: int) -> Job:
        if number not in jobs:
            raise HTTPError(404, "the job does not exist")
        return jobs[number]

    async with trio.open_nursery() as nursery:

        @router.post("/jobs")
        async def start(request: Request) -> Response:
            if len(jobs) == MOST:
                raise HTTPError(503, "there are too many jobs", {"Retry-After": "10"})
            number = next(numbers)
            jobs[number] = Job()
            nursery.start_soon(jobs[number].run)
            return Response(202, {"Location": f"/jobs/{number}"})

        @router.delete("/jobs/{number:int}")
        async def cancel(request: Request, number: int) -> Response:
            job_of(number).scope.cancel()
            del jobs[number]
            return Response(204)

        @router.get("/jobs/{number:int}/events")
        async def follow(request: Request, number: int) -> Response:
            job = job_of(number)

            async def produce(send: SendEvent) -> None:
                while job.state == "running":
                    changed = job.changed  # before sending, during which the state may change
                    await send(ServerSentEvent(f"{job.done} of {STEPS}"))
                    await changed.wait()
                await send(ServerSentEvent(job.state, event="end"))

            return Response.events(produce)

        yield router
        nursery.cancel_scope.cancel()
