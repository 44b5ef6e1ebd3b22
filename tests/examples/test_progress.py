"""Tests of background jobs: starting, following and cancelling them."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.examples.progress import MOST, STEPS, app
from trio_http.testing import Client, OpenResponse, open_client


async def follow(client: Client, number: int = 1) -> OpenResponse:
    return await client.open("GET", f"/jobs/{number}/events")


async def test_progress_is_sent_until_the_job_is_finished(autojump_clock: MockClock) -> None:
    async with open_client(app()) as client:
        response = await client.post("/jobs")
        assert (response.status, response.headers["Location"]) == (202, "/jobs/1")
        events = await follow(client)
        told = [await events.event() for _ in range(STEPS + 1)]
        assert [event.data for event in told[:-1]] == [f"{step} of 10" for step in range(STEPS)]
        assert (told[-1].data, told[-1].event) == ("finished", "end")
        assert await events.read() == b""
        assert trio.current_time() == STEPS
        # Clients that come later get the end, too.
        assert (await (await follow(client)).event()).data == "finished"


async def test_deleted_job_is_cancelled_and_removed(autojump_clock: MockClock) -> None:
    async with open_client(app()) as client:
        await client.post("/jobs")
        await trio.sleep(2.5)
        assert (await client.delete("/jobs/1")).status == 204
        assert (await client.delete("/jobs/1")).status == 404
        assert (await client.post("/jobs")).headers["Location"] == "/jobs/2"
        events = await follow(client, 2)
        assert (await events.event()).data == "0 of 10"


async def test_too_many_jobs_get_503(autojump_clock: MockClock) -> None:
    async with open_client(app()) as client:
        for _ in range(MOST):
            assert (await client.post("/jobs")).status == 202
        response = await client.post("/jobs")
        assert (response.status, response.headers["Retry-After"]) == (503, "10")
        await client.delete("/jobs/1")
        assert (await client.post("/jobs")).status == 202


async def test_end_is_sent_even_if_it_comes_during_a_send(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    servable = app()
    router = await servable.__aenter__()
    async with open_client(router) as other, open_client(router) as client:
        await other.post("/jobs")
        events = await follow(client)
        await wait_all_tasks_blocked()
        await other.delete("/jobs/1")
        assert [(await events.event()).data for _ in range(2)] == ["0 of 10", "cancelled"]
    await servable.__aexit__(None, None, None)


async def test_stopping_the_server_cancels_the_jobs(autojump_clock: MockClock) -> None:
    async with open_client(app()) as client:
        await client.post("/jobs")
        await trio.sleep(1.5)
    assert trio.current_time() == 1.5
