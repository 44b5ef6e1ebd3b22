"""Parts that killed servers leave: which are removed, where, at what pace, and which are kept."""

import os
import signal
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import pytest
import trio
from support import CHECKOUT, as_unprivileged_user, open_descriptors

from trio_http.file_server import abandoned_parts, mounts
from trio_http.file_server.abandoned_parts import ENTRIES, PAUSE, UNCHANGED, remove_abandoned_parts
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.locks import lock
from trio_http.file_server.permissions import PART_NAME, PART_PREFIX, PART_SUFFIX

# Killed in the moment before the file gets its name, when a part has one in either way.
KILLED = """
import os, signal, sys
from contextlib import ExitStack
from pathlib import Path

from trio_http.file_server import unfinished_upload
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.write_preconditions import WritePreconditions

root, way, *names = sys.argv[1:]
if way == "named":
    unfinished_upload.UNNAMED = 0
os.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
with ExitStack() as frame:
    part = unfinished_upload.PartialFile(frame, Root(Path(root)), names, WritePreconditions("PUT"))
    part.write([b"new"])
    part.place()
"""


def part_in(directory: Path, number: int = 0) -> Path:
    path = directory / f"{PART_PREFIX}{number:016x}{PART_SUFFIX}"
    path.write_bytes(b"half of i")
    return path


def all_below(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


async def removed_from(root: Path) -> list[Path]:
    """Remove abandoned parts; return all that is left."""
    await remove_abandoned_parts(Root(root))
    return all_below(root)


# What is removed


@pytest.mark.parametrize("kind", ["unnamed", "named"])
@pytest.mark.parametrize("folder", [[], ["a"], ["a", ".hidden", "b"]])
async def test_part_of_a_killed_server_is_removed(
    tmp_path: Path, kind: str, folder: list[str]
) -> None:
    directory = tmp_path.joinpath(*folder)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "name").write_bytes(b"old")
    if ".hidden" in folder:  # nothing can be stored there now, but could be at the time
        part_in(directory)
    else:
        command = [sys.executable, "-c", KILLED, str(tmp_path), kind, *folder, "name"]
        ended = await trio.run_process(
            command, cwd=CHECKOUT, capture_stderr=True, check=False, stdin=subprocess.DEVNULL
        )
        assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, b"")
    before = all_below(tmp_path)
    (part,) = [path for path in before if PART_NAME.fullmatch(path.name)]
    assert await removed_from(tmp_path) == [path for path in before if path != part]
    assert (directory / "name").read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444, 0o222])
async def test_part_with_the_mode_of_another_file_is_removed(public: Path, mode: int) -> None:
    with as_unprivileged_user():
        part_in(public).chmod(mode)
        assert await removed_from(public) == []


async def test_parts_are_removed_where_others_cannot_be(public: Path) -> None:
    """Neither a directory that cannot be read nor one that cannot be written to is in the way."""
    kept = []
    for name, mode in (("closed", 0o000), ("read-only", 0o555)):
        (public / name).mkdir()
        kept.append(part_in(public / name))
        os.chown(kept[-1], 65534, -1)
        (public / name).chmod(mode)
    (public / "z").mkdir()
    (public / "z").chmod(0o777)
    with as_unprivileged_user():
        part_in(public / "z")
        part_in(public)
        await remove_abandoned_parts(Root(public))
    (public / "closed").chmod(0o700)
    assert [path for path in all_below(public) if path.is_file()] == kept


async def test_system_that_does_not_let_open_files_be_removed_needs_no_locks(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned_parts, "CAN_LOCK", False)
    part_in(tmp_path)
    assert await removed_from(tmp_path) == []


# What is kept


async def test_part_that_is_being_written_is_kept(tmp_path: Path, way: str) -> None:
    (tmp_path / "a").mkdir()
    part = part_in(tmp_path / "a")
    with part.open("rb") as file:
        assert lock(file.fileno())
        assert await removed_from(tmp_path) == [tmp_path / "a", part]
    assert await removed_from(tmp_path) == [tmp_path / "a"]


async def test_whatever_is_not_certainly_a_part_is_kept(tmp_path: Path, way: str) -> None:
    digits = "0123456789abcdef"
    for name in (
        f"{PART_PREFIX}{digits}",
        f"{digits}{PART_SUFFIX}",
        f"{PART_PREFIX}0{PART_SUFFIX}",
        f"{PART_PREFIX}{digits.upper()}{PART_SUFFIX}",
        f"{PART_PREFIX}{digits}{PART_SUFFIX}.txt",
        f"x{PART_PREFIX}{digits}{PART_SUFFIX}",
    ):
        (tmp_path / name).touch()
    os.link(part_in(tmp_path, 1), tmp_path / "another name of it")
    (tmp_path / f"{PART_PREFIX}{2:016x}{PART_SUFFIX}").symlink_to(tmp_path / "another name of it")
    folder = tmp_path / f"{PART_PREFIX}{3:016x}{PART_SUFFIX}"
    folder.mkdir()
    part_in(folder)
    os.mkfifo(tmp_path / f"{PART_PREFIX}{4:016x}{PART_SUFFIX}")
    before = all_below(tmp_path)
    assert await removed_from(tmp_path) == before


async def test_links_are_not_followed(tmp_path: Path, way: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    outside = part_in(tmp_path / "outside")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root")
    await remove_abandoned_parts(Root(tmp_path / "root"))
    assert outside.exists()


async def test_parts_of_another_user_are_kept(public: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("files of another user take root to make")
    part_in(public).chmod(0o666)
    with as_unprivileged_user():
        assert len(await removed_from(public)) == 1
    assert await removed_from(public) == []


async def test_without_locks_no_part_is_known_to_be_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned_parts, "lock", lambda _: None)
    part = part_in(tmp_path)
    assert await removed_from(tmp_path) == [part]


async def test_part_on_a_remote_file_system_is_kept_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks of NFS may be known to one machine, while another one writes the part."""
    (tmp_path / "mounts").touch()
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mounts")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    new, old = part_in(root / "a", 1), part_in(root / "a", 2)
    now = time.time()
    os.utime(new, (now, now - UNCHANGED + 600))
    os.utime(old, (now, now - UNCHANGED - 1))
    assert await removed_from(root) == [root / "a", new]


async def test_root_that_does_not_exist_is_no_error(tmp_path: Path, way: str) -> None:
    assert await removed_from(tmp_path / "nothing") == []


# What it costs


async def test_search_pauses_after_some_entries(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    for number in range(ENTRIES):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "file").touch()
    began = trio.current_time()
    await remove_abandoned_parts(Root(tmp_path))
    # The root, its entries, and then these with one entry each.
    assert trio.current_time() - began >= 3 * PAUSE


async def test_cancelled_search_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned_parts, "PAUSE", inf)
    for number in range(ENTRIES + 1):
        (tmp_path / f"{number}").touch()
    before = open_descriptors()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(remove_abandoned_parts, Root(tmp_path))
        while open_descriptors() == before:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert open_descriptors() == before
