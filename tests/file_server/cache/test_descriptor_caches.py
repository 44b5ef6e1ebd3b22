"""Tests of descriptors that are held open for a directory, and of their end."""

from pathlib import Path

import pytest
from support import open_descriptors

from trio_http.file_server.cache.descriptor_caches import descriptor_caches
from trio_http.file_server.root import Root


class LeftError(Exception):
    """The reason to leave a block."""


async def test_leaving_closes_the_descriptors(tmp_path: Path) -> None:
    before = open_descriptors()
    async with descriptor_caches(Root(tmp_path)) as held:
        assert held.directories.get(()) is not None
        assert open_descriptors() == before + 1
    assert open_descriptors() == before


async def test_leaving_by_an_error_closes_the_descriptors(tmp_path: Path) -> None:
    async def leave() -> None:
        async with descriptor_caches(Root(tmp_path)) as held:
            assert held.directories.get(()) is not None
            raise LeftError

    before = open_descriptors()
    with pytest.RaisesGroup(LeftError):
        await leave()
    assert open_descriptors() == before


async def test_each_entry_has_its_own_descriptors(tmp_path: Path) -> None:
    root = Root(tmp_path)
    async with descriptor_caches(root) as first:
        directory = first.directories.get(())
        async with descriptor_caches(root) as second:
            assert second.directories.get(()) is not directory
        assert first.directories.get(()) is directory
