"""What is held open of a directory, and for how long."""

from pathlib import Path

import pytest

from trio_http.file_server.cache.held_open import held_open
from trio_http.file_server.root import Directory


class LeftError(Exception):
    """Why a block is left."""


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_leaving_closes_what_is_held_open(tmp_path: Path) -> None:
    before = open_descriptors()
    async with held_open(Directory(tmp_path)) as held:
        assert held.folders.get(()) is not None
        assert open_descriptors() == before + 1
    assert open_descriptors() == before


async def test_leaving_by_an_error_closes_what_is_held_open(tmp_path: Path) -> None:
    async def leave() -> None:
        async with held_open(Directory(tmp_path)) as held:
            assert held.folders.get(()) is not None
            raise LeftError

    before = open_descriptors()
    with pytest.RaisesGroup(LeftError):
        await leave()
    assert open_descriptors() == before


async def test_each_entry_holds_its_own(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    async with held_open(directory) as first:
        folder = first.folders.get(())
        async with held_open(directory) as second:
            assert second.folders.get(()) is not folder
        assert first.folders.get(()) is folder
