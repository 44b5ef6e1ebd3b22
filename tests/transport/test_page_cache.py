"""Tests of reading cached parts of a file at once, and the rest in threads."""

import os
from pathlib import Path

import pytest
import trio

from trio_http.semantics.bodies import FileSlice
from trio_http.transport import page_cache
from trio_http.transport.page_cache import PIECE, is_cached, read_cached, read_slice, send_pieces


@pytest.mark.skipif(not page_cache.CAN_TELL_CACHED, reason="this system does not tell")
def test_newly_written_file_is_cached(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * PIECE)
    with path.open("rb") as file:
        assert read_cached(FileSlice(file.fileno(), 3, 4)) == b"3456"
        assert read_cached(FileSlice(file.fileno(), 0, 0)) == b""
        assert is_cached(FileSlice(file.fileno(), 0, 10 * PIECE))
        # Longer than a piece, so it is not read in the event loop.
        assert read_cached(FileSlice(file.fileno(), 0, PIECE + 1)) is None
        # Known to be cached, so it is sent without being read.
        assert read_cached(FileSlice(file.fileno(), 3, 4, at_hand=True)) is None
        # Beyond the end: sending raises the error.
        assert read_cached(FileSlice(file.fileno(), 10 * PIECE - 1, 2)) is None
        assert not is_cached(FileSlice(file.fileno(), 0, 11 * PIECE))


def test_nothing_is_cached_on_a_system_that_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with path.open("rb") as file:
        assert read_cached(FileSlice(file.fileno(), 0, 5)) is None
        assert not is_cached(FileSlice(file.fileno(), 0, 5))


def test_unsupported_descriptor_is_not_cached() -> None:
    reading, writing = os.pipe()
    try:
        assert read_cached(FileSlice(reading, 0, 1)) is None
        assert not is_cached(FileSlice(reading, 0, 1))
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("pread", ["here", "missing"])
async def test_pieces_are_no_larger_than_needed(
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


async def test_file_that_becomes_shorter_raises_eof_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello")

    async def send(data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        assert data == b"hello"

    with path.open("rb") as file, pytest.raises(EOFError, match="shorter"):
        await send_pieces(FileSlice(file.fileno(), 0, 6), send)
