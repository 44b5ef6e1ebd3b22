"""What a worker and its parent tell each other, and what they hear when the other has ended."""

import os

import pytest
import trio
import trio.testing

from trio_http.serving.worker_channel import DRAIN, READY, STOP, Channel


async def test_each_hears_what_the_other_tells_in_its_order() -> None:
    one, other = Channel.pair()
    with one, other:
        other.tell(READY)
        one.tell(DRAIN)
        one.tell(STOP)
        assert await one.hear() == READY
        assert [await other.hear(), await other.hear()] == [DRAIN, STOP]


async def test_whoever_hears_waits_until_something_is_told(nursery: trio.Nursery) -> None:
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


async def test_end_of_the_other_is_heard_after_what_it_has_told() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            other.tell(READY)
        assert await one.hear() == READY
        assert await one.hear() == b""


async def test_end_of_one_who_has_not_heard_all_is_an_end_like_any() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            one.tell(DRAIN)
        # The kernel says so by a reset.
        assert await one.hear() == b""


async def test_whoever_has_ended_can_be_told_anything() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            pass
        one.tell(DRAIN)
        one.tell(STOP)


async def test_end_that_is_taken_over_is_not_passed_on() -> None:
    one, other = Channel.pair()
    with one:
        with other:
            descriptor = os.dup(other.descriptor)
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - the library's own way to say it
        with Channel.take_over(descriptor) as taken:
            assert taken.descriptor == descriptor
            assert not os.get_inheritable(descriptor)
            one.tell(DRAIN)
            assert await taken.hear() == DRAIN
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
