"""Tests of files whose status has a wrong length: they are read before they are sent."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio

from trio_http.file_server import virtual_files
from trio_http.file_server.virtual_files import READ, read
from trio_http.semantics.bodies import Body, Stream
from trio_http.semantics.errors import HTTPError

# Virtual files of Linux.
PROC, SYS = Path("/proc/self/limits"), Path("/sys/kernel/profiling")

needs_proc = pytest.mark.skipif(not PROC.exists(), reason="this system has no such files")
needs_sys = pytest.mark.skipif(not SYS.exists(), reason="this system has no such files")


def body_of(path: Path, **told: int) -> Body | None:
    """Return the body that is determined for a file, with fields of its status replaced."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        status = cast(os.stat_result, SimpleNamespace(**told)) if told else os.fstat(descriptor)
        body = read(descriptor, status)
        return body if body is None or isinstance(body, bytes) else trio.run(all_of, body)
    finally:
        os.close(descriptor)


async def all_of(body: Body) -> bytes:
    assert isinstance(body, Stream)
    assert body.length is None
    pieces = []

    async def send(data: bytes) -> None:
        pieces.append(data)
        await trio.lowlevel.checkpoint()

    await body.produce(send)
    return b"".join(pieces)


@needs_proc
def test_file_with_an_empty_status_is_read() -> None:
    assert PROC.stat().st_size == 0
    assert body_of(PROC) == PROC.read_bytes()


@needs_sys
def test_file_with_a_page_in_its_status_is_read() -> None:
    assert SYS.stat().st_size > 100
    assert body_of(SYS) == SYS.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 4096, 100_000])
def test_ordinary_file_has_the_length_of_its_status(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert body_of(path) is None
    path.write_bytes(b"")
    os.truncate(path, size)  # a file that is only a hole has no blocks either
    assert body_of(path) is None


@pytest.mark.parametrize(
    ("size", "blocks", "is_read"),
    [
        (0, 0, True),
        (0, None, True),
        (0, 8, True),
        (1, 0, True),
        (65536, 0, True),
        (65537, 0, False),  # a virtual file never claims that length
        (65536, 8, False),
        (65536, None, False),  # Windows does not tell
        (5, 0, False),  # the real length
    ],
)
def test_only_unlikely_statuses_are_checked(
    tmp_path: Path, size: int, blocks: int | None, is_read: object
) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    told = {"st_size": size} if blocks is None else {"st_size": size, "st_blocks": blocks}
    body = body_of(tmp_path / "file", **told)
    assert body == (b"hello" if is_read else None)


@pytest.mark.parametrize("size", [READ - 1, READ, READ + 1, 3 * READ + 7])
def test_long_content_is_streamed(tmp_path: Path, size: int) -> None:
    data = b"".join([number.to_bytes(4, "big") for number in range(size // 4 + 1)])[:size]
    (tmp_path / "file").write_bytes(data)
    assert body_of(tmp_path / "file", st_size=0) == data


def test_endless_file_ends_with_its_present_content() -> None:
    receiving, sending = os.pipe()
    try:
        os.set_blocking(receiving, False)
        os.write(sending, b"so far")
        assert read(receiving, os.fstat(receiving)) == b"so far"
    finally:
        os.close(receiving)
        os.close(sending)


@needs_proc
def test_unreadable_virtual_file_gets_503() -> None:
    with pytest.raises(HTTPError) as refusal:
        body_of(Path("/proc/self/mem"))  # reading its first page fails
    assert refusal.value.status == 503


def test_long_file_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_files, "READ", 3)
    (tmp_path / "file").write_bytes(b"hello")
    assert body_of(tmp_path / "file", st_size=0) == b"hello"
