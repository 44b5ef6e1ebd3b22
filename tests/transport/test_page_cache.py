"""What of a file is in memory, and how the rest is read."""

import os
from pathlib import Path

import pytest
import trio

from trio_http.semantics.bodies import FileSlice
from trio_http.transport import page_cache
from trio_http.transport.page_cache import PIECE, is_cached, read_cached, read_slice, send_pieces


@pytest.mark.skipif(not page_cache.CAN_TELL_CACHED, reason="this system does not tell")
def test_what_was_just_written_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * PIECE)
    with path.open("rb") as file:
        assert read_cached(FileSlice(file.fileno(), 3, 4)) == b"3456"
        assert read_cached(FileSlice(file.fileno(), 0, 0)) == b""
        assert is_cached(FileSlice(file.fileno(), 0, 10 * PIECE))
        # Longer than a piece: not to be read in the loop.
        assert read_cached(FileSlice(file.fileno(), 0, PIECE + 1)) is None
        # It need not be read in order to be sent.
        assert read_cached(FileSlice(file.fileno(), 3, 4, at_hand=True)) is None
        # Beyond the end: whoever sends it finds out, and says so.
        assert read_cached(FileSlice(file.fileno(), 10 * PIECE - 1, 2)) is None
        assert not is_cached(FileSlice(file.fileno(), 0, 11 * PIECE))


def test_a_system_that_cannot_tell_is_asked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with path.open("rb") as file:
        assert read_cached(FileSlice(file.fileno(), 0, 5)) is None
        assert not is_cached(FileSlice(file.fileno(), 0, 5))


def test_a_file_that_cannot_be_read_so_is_not_in_memory() -> None:
    reading, writing = os.pipe()
    try:
        assert read_cached(FileSlice(reading, 0, 1)) is None
        assert not is_cached(FileSlice(reading, 0, 1))
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("pread", ["here", "missing"])
async def test_pieces_of_a_file_are_no_larger_than_needed(
    pread: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1024) * 256
    path = tmp_path / "file"
    path.write_bytes(content)
    if pread == "missing":  # as on Windows
        monkeypatch.delattr(os, "pread")
    pieces = []

    async def send(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        pieces.append(data)

    with path.open("rb") as opened:
        file = opened.fileno()
        await send_pieces(FileSlice(file, 10, 2 * PIECE + 1), send)
        assert [len(piece) for piece in pieces] == [PIECE, PIECE, 1]
        assert b"".join(pieces) == content[10 : 10 + 2 * PIECE + 1]
        assert read_slice(file, len(content) - 1, 5) == content[-1:]
        assert read_slice(file, len(content), 5) == b""


async def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello")

    async def send(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        assert data == b"hello"

    with path.open("rb") as file, pytest.raises(EOFError, match="shorter"):
        await send_pieces(FileSlice(file.fileno(), 0, 6), send)
