"""Tests of files that are being written: their location, their readers, and their end."""

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import as_unprivileged_user, failing_with

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server import kept_attributes, unfinished_upload
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.durability import Durability
from trio_http.file_server.locks import lock
from trio_http.file_server.unfinished_upload import PartialFile
from trio_http.file_server.versions import tag_of
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.digests import Digest
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers

PUT = WritePreconditions("PUT")


@pytest.fixture(params=["unnamed", "named", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to write a new file, whatever this system supports."""
    if request.param != "unnamed":
        monkeypatch.setattr(unfinished_upload, "UNNAMED", 0)
    if request.param == "paths":
        monkeypatch.setattr(served_root, "RELATIVE", False)
        monkeypatch.setattr(kept_attributes, "CAN_KEEP_ATTRIBUTES", False)
    return str(request.param)


@pytest.fixture
def frame() -> Iterator[ExitStack]:
    with ExitStack() as frame:
        yield frame


def part_of(
    frame: ExitStack, root: Path, name: str = "name", preconditions: WritePreconditions = PUT
) -> PartialFile:
    return PartialFile(frame, Root(root), [name], preconditions)


def modes(directory: Path) -> list[int]:
    return sorted([stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()])


def refusal_of(act: Callable[[], object]) -> int:
    with pytest.raises(HTTPError) as refusal:
        act()
    return refusal.value.status


def only_new() -> WritePreconditions:
    return WritePreconditions("PUT", Headers([("If-None-Match", "*")]))


# Before the first write


def test_part_is_created_by_the_first_write(tmp_path: Path, way: str, frame: ExitStack) -> None:
    part = part_of(frame, tmp_path)
    assert list(tmp_path.iterdir()) == []
    part.write([b"1"])
    assert len(list(tmp_path.iterdir())) == (0 if way == "unnamed" else 1)
    frame.close()
    assert list(tmp_path.iterdir()) == []


def test_impossible_target_is_refused_before_writing(
    public: Path, way: str, frame: ExitStack
) -> None:
    (public / "folder").mkdir()
    (public / "file").touch()
    (public / "closed").mkdir(mode=0o555)
    assert refusal_of(lambda: part_of(frame, public, "folder")) == 409
    assert refusal_of(lambda: part_of(frame, public, "file", only_new())) == 412
    with as_unprivileged_user():
        assert refusal_of(lambda: part_of(frame, public / "closed")) == 403


def test_unwritable_directory_is_found_by_writing_if_it_cannot_be_checked(
    public: Path,
    way: str,
    frame: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unfinished_upload, "_CAN_ASK", False)
    (public / "closed").mkdir(mode=0o555)
    with as_unprivileged_user():
        part = part_of(frame, public / "closed")
        assert refusal_of(lambda: part.write([b"1"])) == 403


def test_file_can_be_stored_in_a_write_only_directory(
    public: Path, way: str, frame: ExitStack
) -> None:
    (public / "drop").mkdir()
    (public / "drop").chmod(0o333)
    with as_unprivileged_user():
        part = part_of(frame, public / "drop")
        part.write([b"1"])
        assert part.place().is_new
        frame.close()
    assert (public / "drop" / "name").read_bytes() == b"1"


def test_removed_directory_gets_404(tmp_path: Path, way: str, frame: ExitStack) -> None:
    (tmp_path / "folder").mkdir()
    part = part_of(frame, tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    assert refusal_of(lambda: part.write([b"1"])) == 404


# Readers


def test_named_part_is_readable_to_its_owner_only(
    tmp_path: Path, way: str, frame: ExitStack
) -> None:
    part_of(frame, tmp_path).write([b"secret"])
    assert modes(tmp_path) == ([] if way == "unnamed" else [0o600])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_replacement_is_never_readable_to_others(
    tmp_path: Path, way: str, frame: ExitStack, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "name").touch()
    (tmp_path / "name").chmod(mode)
    seen = []

    def replace(*arguments: object, **options: object) -> None:
        seen.extend(modes(tmp_path))
        really_replace(*arguments, **options)

    really_replace: Callable[..., None] = os.replace
    monkeypatch.setattr(os, "replace", replace)
    part = part_of(frame, tmp_path)
    part.write([b"new"])
    assert not part.place().is_new
    assert seen == [mode, mode]  # the old file, and the new one if it got its name first
    assert modes(tmp_path) == [mode]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_umask_applies_to_a_new_file(
    tmp_path: Path, way: str, frame: ExitStack, umask: int
) -> None:
    before = os.umask(umask)
    try:
        part = part_of(frame, tmp_path)
        part.write([b"new"])
        part.place()
    finally:
        os.umask(before)
    assert modes(tmp_path) == [0o666 & ~umask]


@pytest.mark.parametrize("way", ["unnamed", "named"], indirect=True)
def test_default_acl_of_the_directory_applies_to_a_new_file(
    tmp_path: Path, way: str, frame: ExitStack
) -> None:
    nobody, entries = 0xFFFFFFFF, [(1, 7), (2, 6), (4, 5), (0x10, 7), (0x20, 0)]
    acl = [struct.pack("<HHI", tag, may, 1234 if tag == 2 else nobody) for tag, may in entries]
    try:
        os.setxattr(tmp_path, "system.posix_acl_default", struct.pack("<I", 2) + b"".join(acl))
    except (AttributeError, OSError) as error:
        pytest.skip(f"no such thing here: {error}")
    (tmp_path / "plain").touch()
    part = part_of(frame, tmp_path)
    part.write([b"new"])
    part.place()
    plain, new = tmp_path / "plain", tmp_path / "name"
    assert new.stat().st_mode == plain.stat().st_mode
    assert os.getxattr(new, kept_attributes.ACL) == os.getxattr(plain, kept_attributes.ACL)


# Storing


def test_stored_file_has_its_content_and_tag(tmp_path: Path, way: str, frame: ExitStack) -> None:
    for data, is_new in ((b"first", True), (b"second", False)):
        part = part_of(frame, tmp_path)
        part.write([data[:2]])
        part.write([data[2:]])
        stored = part.place()
        frame.close()
        path = tmp_path / "name"
        assert (stored.etag, stored.is_new) == (str(tag_of(path.stat())), is_new)
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]


class FilledPipe:
    """A pipe that contains the last bytes of a body."""

    async def fill(self) -> bool:
        return False

    def empty_into(self, file: int) -> None:
        os.write(file, b"last")

    def close(self) -> None:
        pass


def test_bytes_in_a_pipe_are_stored_last(tmp_path: Path, way: str, frame: ExitStack) -> None:
    part = part_of(frame, tmp_path)
    part.pipe = FilledPipe()
    part.write([b"first, "])
    part.place()
    assert (tmp_path / "name").read_bytes() == b"first, last"


def test_content_that_does_not_match_its_digest_gets_400(
    tmp_path: Path, way: str, frame: ExitStack
) -> None:
    part = part_of(
        frame, tmp_path, preconditions=WritePreconditions("PUT", digests=(Digest("sha-256", b"x"),))
    )
    part.write([b"1"])
    assert refusal_of(part.place) == 400
    frame.close()
    assert list(tmp_path.iterdir()) == []


def test_file_created_meanwhile_is_replaced(tmp_path: Path, way: str, frame: ExitStack) -> None:
    part = part_of(frame, tmp_path)
    part.write([b"mine"])
    (tmp_path / "name").touch(0o600)
    assert not part.place().is_new
    frame.close()
    assert modes(tmp_path) == [0o600]


@pytest.mark.skipif(not unfinished_upload.UNNAMED, reason="this system has no files without names")
def test_file_created_at_the_last_moment_is_replaced(
    tmp_path: Path, frame: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create_then_link(source: str, name: str, *, dst_dir_fd: int) -> None:
        monkeypatch.undo()
        (tmp_path / name).touch(0o600)
        os.link(source, name, dst_dir_fd=dst_dir_fd)

    part = part_of(frame, tmp_path)
    part.write([b"mine"])
    monkeypatch.setattr(os, "link", create_then_link)
    assert not part.place().is_new
    frame.close()
    assert modes(tmp_path) == [0o600]


def test_tag_uses_the_kernels_time_if_times_cannot_be_set(
    tmp_path: Path, way: str, frame: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished_upload, "TIMES", False)
    part = part_of(frame, tmp_path)
    part.write([b"1"])
    assert part.place().etag == str(tag_of((tmp_path / "name").stat()))


def test_kernel_without_unnamed_files_gets_a_named_part(
    tmp_path: Path, frame: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A kernel without O_TMPFILE takes it for a request to write to the directory.
    monkeypatch.setattr(unfinished_upload, "UNNAMED", os.O_WRONLY)
    part_of(frame, tmp_path).write([b"1"])
    assert len(list(tmp_path.iterdir())) == 1


def test_file_excluded_by_preconditions_is_not_replaced(
    tmp_path: Path, way: str, frame: ExitStack
) -> None:
    part = part_of(frame, tmp_path, preconditions=only_new())
    part.write([b"mine"])
    (tmp_path / "name").write_bytes(b"theirs")
    assert refusal_of(part.place) == 412


def test_deletion_of_a_missing_file_ignores_preconditions(tmp_path: Path) -> None:
    preconditions = WritePreconditions("DELETE", Headers([("If-Match", "*")]))  # RFC 9110 13.2.1
    with Root(tmp_path).directory() as directory:
        assert unfinished_upload.replaceable(directory, "name", preconditions) is None


# Durability


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EIO, 503), (errno.ENOSPC, 507), (errno.EDQUOT, 507)]
)
def test_file_that_cannot_be_forced_to_the_disk_replaces_nothing(
    tmp_path: Path,
    frame: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    part = PartialFile(frame, Root(tmp_path, durability=Durability.DISK), ["name"], PUT)
    part.write([b"new"])
    monkeypatch.setattr(os, "fsync", failing_with(number))
    assert refusal_of(part.place) == status
    frame.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "name"]
    assert (tmp_path / "name").read_bytes() == b"old"


@pytest.mark.parametrize("attempts", [2, 3])  # the file with its name, the directory
def test_name_that_cannot_be_forced_to_the_disk_is_reported(
    tmp_path: Path, frame: ExitStack, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    part = PartialFile(frame, Root(tmp_path, durability=Durability.DISK), ["name"], PUT)
    part.write([b"new"])
    monkeypatch.setattr(os, "fsync", failing_with(errno.EIO, attempts))
    assert refusal_of(part.place) == 503


def test_durable_file_is_placed(tmp_path: Path, way: str, frame: ExitStack) -> None:
    part = PartialFile(frame, Root(tmp_path, durability=Durability.DISK), ["name"], PUT)
    part.write([b"new"])
    assert part.place().etag == str(tag_of((tmp_path / "name").stat()))
    assert (tmp_path / "name").read_bytes() == b"new"


# Servers that start meanwhile


@pytest.mark.parametrize("way", ["named", "paths"], indirect=True)
@pytest.mark.parametrize("moment", ["before it is locked", "while it is locked"])
def test_part_that_another_server_takes_for_abandoned_is_made_again(
    tmp_path: Path,
    way: str,
    frame: ExitStack,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that starts finds each file in the moment between its making and its locking."""
    attempts: list[bool] = []

    def lock_after_another(descriptor: int) -> object:
        attempts.append(len(attempts) % 2 == 0)
        if attempts[-1]:
            ours = os.fstat(descriptor)
            (newest,) = [path for path in tmp_path.iterdir() if os.path.samestat(path.stat(), ours)]
            with newest.open("rb") as other:
                assert lock(other.fileno())
                if moment == "before it is locked":
                    newest.unlink()
                    other.close()
                return lock(descriptor)
        return lock(descriptor)

    monkeypatch.setattr(unfinished_upload, "lock", lock_after_another)
    part = part_of(frame, tmp_path)
    part.write([b"mine"])
    part.place()
    frame.close()
    assert attempts == [True, False, True, False]  # the part, and the model for its mode
    assert (tmp_path / "name").read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "name"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["nothing", "name"], "the directory does not exist"),
        ([".hidden", "name"], "the directory does not exist"),
        ([".hidden"], "no file can be stored under this name"),
        ([".."], "no file can be stored under this name"),
        (["n" * 300, "name"], "longer than the file system allows"),
    ],
)
def test_impossible_target_is_refused_with_the_reason(
    tmp_path: Path, way: str, frame: ExitStack, names: list[str], reason: str
) -> None:
    (tmp_path / ".hidden").mkdir()
    with pytest.raises(HTTPError, match=reason) as refusal:
        PartialFile(frame, Root(tmp_path), names, PUT)
    assert refusal.value.status == 404
