"""Tests of the messages between a worker and its parent, and of the end of either."""

import os

import pytest
import trio
import trio.testing

from trio_http.serving.worker_channel import DRAIN, READY, STOP, Channel


async def test_messages_arrive_in_order() -> None:
    one, other = Channel.pair()
    with one, other:
        other.tell(READY)
        one.tell(DRAIN)
        one.tell(STOP)
        assert await one.hear() == READY
        assert [await other.hear(), await other.hear()] == [DRAIN, STOP]


async def test_hear_waits_for_a_message(nursery: trio.Nursery) -> None:
    one, other = Channel.pair()
    heard = []

    async def hear() -> None:
        heard.append(await one.hear())

    with one, other:
        nursery.start_soon(hear)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == []
        other.tell(READY)
        await trio.testing.wait_all_tasks_blocked()
    assert heard == [READY]


async def test_end_is_heard_after_all_messages() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            other.tell(READY)
        assert await one.hear() == READY
        assert await one.hear() == b""


async def test_end_with_unread_messages_is_heard() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            one.tell(DRAIN)
        # The kernel reports this as a reset.
        assert await one.hear() == b""


async def test_tell_after_the_other_has_ended_does_nothing() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            pass
        one.tell(DRAIN)
        one.tell(STOP)


async def test_taken_over_end_is_not_inheritable() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            descriptor = os.dup(other.descriptor)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the library's own signature
        with Channel.take_over(descriptor) as taken:
            assert taken.descriptor == descriptor
            assert not os.get_inheritable(descriptor)
            one.tell(DRAIN)
            assert await taken.hear() == DRAIN
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
