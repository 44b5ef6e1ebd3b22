"""Tests of the chat example."""

import importlib
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from trio_http.examples import chat
from trio_http.semantics.server_sent_events import KEEP_ALIVE
from trio_http.testing import open_client


@pytest.fixture(autouse=True)
def empty_room() -> Iterator[None]:
    yield
    importlib.reload(chat)


async def test_message_reaches_all_listeners(autojump_clock: MockClock) -> None:
    async with (
        open_client(chat.app) as ada,
        open_client(chat.app) as bob,
        open_client(chat.app) as speaker,
    ):
        assert (await speaker.post("/messages", body=b"first")).status == 204
        heard = [await client.open("GET", "/messages") for client in (ada, bob)]
        for response in heard:
            assert (await response.event()).data == "first"
        await trio.sleep(60)
        await speaker.post("/messages", body="zweitens, ä".encode())
        for response in heard:
            event = await response.event()
            assert (event.data, event.id) == ("zweitens, ä", "2")


async def test_silence_is_filled_with_keep_alive_comments(autojump_clock: MockClock) -> None:
    async with open_client(chat.app) as client:
        response = await client.open("GET", "/messages")
        assert await response.receive_some() == KEEP_ALIVE


@pytest.mark.parametrize(
    ("last", "first"),
    [
        (None, 51),  # the latest hundred are kept
        ("7", 51),
        ("149", 150),
        ("1000", 151),  # from before a restart of the server
    ],
)
async def test_reconnecting_client_gets_missed_messages(
    last: str | None, first: int, autojump_clock: MockClock
) -> None:
    async with open_client(chat.app) as speaker, open_client(chat.app) as client:
        for number in range(1, 151):
            await speaker.post("/messages", body=str(number).encode())
        response = await client.open(
            "GET", "/messages", {} if last is None else {"Last-Event-ID": last}
        )
        await trio.testing.wait_all_tasks_blocked()
        await speaker.post("/messages", body=b"151")
        events = [await response.event()]
        while events[-1].data != "151":
            events.append(await response.event())
        numbers = [event.data for event in events]
        assert numbers == [event.id for event in events]
        assert numbers == [str(number) for number in range(first, 152)]


@pytest.mark.parametrize("last", ["x", "-1", "9" * 5000])
async def test_malformed_last_event_id_gets_400(last: str) -> None:
    async with open_client(chat.app) as client:
        assert (await client.get("/messages", {"Last-Event-ID": last})).status == 400


async def test_long_message_gets_413_and_other_site_403() -> None:
    async with open_client(chat.app) as client:
        assert (await client.post("/messages", body=bytes(1001))).status == 413
        fields = {"Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/messages", fields, b"hello")).status == 403
    assert chat.room.count == 0


async def test_page_is_served() -> None:
    async with open_client(chat.app) as client:
        assert "new EventSource" in (await client.get("/")).text()
