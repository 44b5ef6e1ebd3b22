"""The send buffer: gathering pieces and sending them."""

import math
from pathlib import Path

import pytest

from trio_http.http1.send_buffer import SendBuffer, rest_of
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport import page_cache
from trio_http.transport.page_cache import read_slice


class Calls:
    """A transport that records its calls with their data and patience."""

    def __init__(self, room: float = math.inf) -> None:
        self.made: list[tuple[str, bytes, float, float]] = []
        self.room = room  # bytes that it takes before the client disconnects
        self.passed = 0

    async def readable(self) -> None:
        raise AssertionError

    def receive_now(self, size: int) -> bytes:
        raise AssertionError(size)

    @property
    def scheme(self) -> str:
        raise AssertionError

    async def receive(self, size: int) -> bytes:
        raise AssertionError(size)

    def open_pipe(self) -> None:
        raise AssertionError

    def interrupt(self) -> None:
        raise AssertionError

    def has_unread(self) -> bool:
        raise AssertionError

    def send_at_once(self, data: bytes, behind: bytes = b"") -> int:
        raise AssertionError(data, behind)

    def send_file_at_once(self, head: bytes, piece: FileSlice) -> int:
        raise AssertionError(head, piece)

    async def send(self, data: bytes, patience: float, rate: float = 0) -> None:
        self._take("send", data, patience, rate)

    async def send_file(self, piece: FileSlice, patience: float, rate: float = 0) -> None:
        data = read_slice(piece.descriptor, piece.offset, piece.length)
        self._take("send_file", data, patience, rate)

    def _take(self, how: str, data: bytes, patience: float, rate: float) -> None:
        taken = data[: int(min(self.room - self.passed, len(data)))]
        self.passed += len(taken)
        self.made.append((how, taken, patience, rate))
        if len(taken) < len(data):
            raise ClientDisconnected

    async def send_eof(self) -> bool:
        raise AssertionError

    def abort(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError


async def test_gathered_pieces_are_sent_in_one_call() -> None:
    calls = Calls()
    output = SendBuffer(calls, 3, 500)
    output.add((b"one ", b"two "))
    output.add((b"three",))
    assert calls.made == []
    await output.flush()
    await output.flush()
    assert calls.made == [("send", b"one two three", 3, 500)]


async def test_cached_part_of_file_is_sent_with_its_neighbours(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    calls = Calls()
    output = SendBuffer(calls, 3, 500)
    with path.open("rb") as file:
        output.add((b"one", FileSlice(file.fileno(), 5, 2), b"two"))
        await output.flush()
    expected: list[tuple[str, bytes, float, float]] = [("send", b"onea two", 3, 500)]
    if not page_cache.CAN_TELL_CACHED:
        expected = [
            ("send", b"one", 3, 500),
            ("send_file", b"a ", 3, 500),
            ("send", b"two", 3, 500),
        ]
    assert calls.made == expected


async def test_part_of_file_is_sent_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    calls = Calls()
    output = SendBuffer(calls, 3, 500)
    with path.open("rb") as file:
        piece = FileSlice(file.fileno(), 5, 2)
        output.add((b"one", piece, b"two", b"three", piece))
        await output.flush()
    assert calls.made == [
        ("send", b"one", 3, 500),
        ("send_file", b"a ", 3, 500),
        ("send", b"twothree", 3, 500),
        ("send_file", b"a ", 3, 500),
    ]


@pytest.mark.parametrize(
    ("body", "sent", "rest"),
    [
        (b"hello", 0, (b"head", b"hello")),
        (b"hello", 3, (b"d", b"hello")),
        (b"hello", 4, (b"hello",)),
        (b"hello", 6, (b"llo",)),
        (FileSlice(3, 10, 5), 1, (b"ead", FileSlice(3, 10, 5))),
        (FileSlice(3, 10, 5), 4, (FileSlice(3, 10, 5),)),
        (FileSlice(3, 10, 5), 7, (FileSlice(3, 13, 2),)),
        (FileSlice(3, 10, 5), 9, ()),
    ],
)
def test_rest_begins_after_the_sent_bytes(
    body: bytes | FileSlice, sent: int, rest: tuple[bytes | FileSlice, ...]
) -> None:
    assert rest_of((b"head", body), sent) == list(rest)


@pytest.mark.parametrize("room", range(12))
async def test_unsent_pieces_stay_gathered_after_an_error(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    calls = Calls(room)
    output = SendBuffer(calls, 3, 500)
    with path.open("rb") as file:
        output.add((b"one", FileSlice(file.fileno(), 0, 4), b"two", b"", b"six"))
        assert output.unsent == 13
        with pytest.raises(ClientDisconnected):
            await output.flush()
        assert (calls.passed, output.unsent) == (room, 13 - room)
        output.add((b"!",))
        calls.room = math.inf
        await output.flush()
    assert b"".join([data for _, data, _, _ in calls.made]) == b"onefromtwosix!"
    assert output.unsent == 0
