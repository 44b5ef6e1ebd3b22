"""Tests of descriptors that are held open for a directory, and of their end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from support import open_descriptors

from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache.descriptor_caches import DescriptorCaches, descriptor_caches


class LeftError(Exception):
    """The reason to leave a block."""


@asynccontextmanager
async def caches_of(root: Path) -> AsyncIterator[DescriptorCaches]:
    async with trio.open_nursery() as nursery:
        yield descriptor_caches(Root(root), nursery)
        nursery.cancel_scope.cancel()


async def test_leaving_closes_the_descriptors(tmp_path: Path) -> None:
    before = open_descriptors()
    async with caches_of(tmp_path) as held:
        assert held.directories.get(()) is not None
        assert open_descriptors() == before + 1
    assert open_descriptors() == before


async def test_leaving_by_an_error_closes_the_descriptors(tmp_path: Path) -> None:
    async def leave() -> None:
        async with caches_of(tmp_path) as held:
            assert held.directories.get(()) is not None
            raise LeftError

    before = open_descriptors()
    with pytest.RaisesGroup(LeftError):
        await leave()
    assert open_descriptors() == before


async def test_each_entry_has_its_own_descriptors(tmp_path: Path) -> None:
    async with caches_of(tmp_path) as first:
        directory = first.directories.get(())
        async with caches_of(tmp_path) as second:
            assert second.directories.get(()) is not directory
        assert first.directories.get(()) is directory
