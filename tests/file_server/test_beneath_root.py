"""Tests of names below a directory: files inside are opened, and nothing outside."""

import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import as_unprivileged_user, failing_with, open_descriptors

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.permissions import (
    NOTHING_MORE,
    PART_PREFIX,
    PART_SUFFIX,
    Permissions,
)
from trio_http.semantics.errors import HTTPError

SECRET = b"outside"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory ``root`` with every kind of entry, next to a file outside of it.

    Tests must not change it.
    """
    top = tmp_path_factory.mktemp("tree")
    root = top / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "file").write_bytes(b"file")
    (root / "empty").touch()
    (root / "folder" / "deep" / "file").write_bytes(b"deep")
    (root / r"back\slash").write_bytes(b"backslash")
    (root / "%2e%2e").write_bytes(b"percent")
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "file").write_bytes(b"within")
    (root / ".file").write_bytes(b"hidden")
    (top / "outside").mkdir()
    (top / "secret").write_bytes(SECRET)
    (top / "outside" / "secret").write_bytes(SECRET)
    (root / "link-to-file").symlink_to("file")
    (root / "link-to-folder").symlink_to("folder")
    (root / "link-out").symlink_to(top / "secret")
    (root / "link-up").symlink_to("..")
    (root / "link-aside").symlink_to(top / "outside")
    (root / "link-nowhere").symlink_to("nowhere")
    (root / "link-to-itself").symlink_to("link-to-itself")
    (root / "folder" / "link-up").symlink_to("..")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        # Its path may be longer than a socket address can be.
        descriptor = os.open(root, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{descriptor}/socket")
        os.close(descriptor)
    assert (root / "socket").is_socket()
    return root


def open_regular(
    root: Path, names: Sequence[str], allow: Permissions = NOTHING_MORE
) -> tuple[int, os.stat_result]:
    *above, name = names
    with Root(root, allow).directory(above) as directory:
        return directory.open(name)


def content(root: Path, names: Sequence[str], allow: Permissions = NOTHING_MORE) -> bytes:
    descriptor, status = open_regular(root, names, allow)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read()
    assert status.st_size == len(data)
    return data


def status_of(root: Path, names: Sequence[str], allow: Permissions = NOTHING_MORE) -> int:
    with pytest.raises(HTTPError) as refusal:
        open_regular(root, names, allow)
    return refusal.value.status


# Files that are opened


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["file"], b"file"),
        (["empty"], b""),
        (["folder", "deep", "file"], b"deep"),
        ([r"back\slash"], b"backslash"),  # not a separator on POSIX
        (["%2e%2e"], b"percent"),  # decoded once, not twice
        (["caf\udce9"], b"latin"),  # not valid UTF-8
    ],
)
def test_regular_file_is_opened(
    tree: Path, way: str, names: Sequence[str], expected: bytes
) -> None:
    assert content(tree, names) == expected


def test_root_itself_may_be_reached_by_links(tree: Path, way: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert content(tmp_path / "link", ["folder", "deep", "file"]) == b"deep"
    assert content(tmp_path / "link" / "link-up" / "root", ["file"]) == b"file"


def test_root_may_be_a_relative_path(tree: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert content(Path(), ["folder", "deep", "file"]) == b"deep"
    assert content(Path("folder"), ["deep", "file"]) == b"deep"


# Names that are not found


@pytest.mark.parametrize(
    "names",
    [
        ["nothing"],
        ["nowhere", "file"],
        ["folder", "nothing"],
        ["file", "x"],  # a file is not a directory
        ["folder"],
        ["folder", "deep"],
        ["fifo"],  # opened without blocking, and closed
        ["socket"],
        [""],  # the last slash of a path
        ["folder", ""],
        ["", "file"],
        ["folder", "", "file"],
        ["."],
        ["folder", ".", "deep", "file"],
        [".."],
        ["..", "secret"],
        ["folder", "..", "file"],  # even if it stays inside
        ["folder", "..", "..", "secret"],
        ["../secret"],  # from ..%2Fsecret
        ["folder/../../secret"],
        ["folder/deep/file"],  # a slash in a name is never a separator
        ["/", "file"],
        ["/etc/passwd"],
        ["", "etc", "passwd"],
        [r"..\secret"],
        [r"\etc\passwd"],
        ["C:", "secret"],
        ["file\0"],
        ["file\0.txt"],
        ["\0"],
        ["link-to-file"],  # links are not followed, even inside
        ["link-to-folder", "deep", "file"],
        ["link-to-folder"],
        ["link-out"],
        ["link-up", "secret"],
        ["link-up", "root", "file"],
        ["link-aside", "secret"],
        ["folder", "link-up", "file"],
        ["folder", "link-up", "link-up", "secret"],
        ["link-nowhere"],
        ["link-nowhere", "file"],
        ["link-to-itself"],
        ["link-to-itself", "file"],
        ["x" * 256],
        ["x" * 256, "file"],
        ["x" * 100_000],
        ["folder"] * 10_000,
        ["\ud800"],  # not encodable
        ["\ud800", "file"],
        [f"{PART_PREFIX}0{PART_SUFFIX}"],
    ],
    ids=lambda names: "/".join(names).encode("unicode_escape").decode()[:40],
)
def test_other_names_get_404(tree: Path, way: str, names: Sequence[str]) -> None:
    before = open_descriptors()
    assert status_of(tree, names) == 404
    assert open_descriptors() == before


def test_partial_upload_gets_404(tmp_path: Path, way: str) -> None:
    name = f"{PART_PREFIX}1234{PART_SUFFIX}"
    (tmp_path / name).write_bytes(b"half of i")
    assert status_of(tmp_path, [name]) == 404


def test_device_gets_404(way: str) -> None:
    assert status_of(Path("/dev"), ["null"]) == 404


def test_removed_root_gets_404(tree: Path, way: str) -> None:
    assert status_of(tree / "gone", ["file"]) == 404
    assert status_of(tree / "gone", ["folder", "file"]) == 404


def test_root_that_is_a_file_gets_404(tree: Path, way: str) -> None:
    assert status_of(tree / "file", ["file"]) == 404


def test_unreadable_file_gets_403(public: Path, way: str) -> None:
    (public / "file").write_bytes(b"file")
    (public / "file").chmod(0)
    with as_unprivileged_user():
        assert status_of(public, ["file"]) == 403


def test_inaccessible_directory_gets_403(public: Path, way: str) -> None:
    (public / "folder").mkdir()
    (public / "folder" / "file").write_bytes(b"file")
    (public / "folder").chmod(0)
    with as_unprivileged_user():
        assert status_of(public, ["folder", "file"]) == 403
    (public / "folder").chmod(0o700)


NAMES = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),  # surrogates, too
    st.text("./\\%\0", max_size=4),
    st.sampled_from(
        ["file", "folder", "deep", "empty", "root", "secret", "link-up", "link-out", "link-aside"]
    ),
)


@pytest.mark.parametrize("way", ["descriptors", "paths"])
@settings(deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=6))
def test_any_names_open_only_files_inside(tree: Path, way: str, names: list[str]) -> None:
    inside = {
        (entry.stat().st_dev, entry.stat().st_ino)
        for entry in tree.rglob("*")
        if stat.S_ISREG(entry.lstat().st_mode)
    }
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(served_root, "RELATIVE", way == "descriptors")
        try:
            descriptor, _ = open_regular(tree, names)
        except HTTPError:
            return
        opened = os.fstat(descriptor)
        os.close(descriptor)
        assert (opened.st_dev, opened.st_ino) in inside


# Concurrent changes of the directory


def test_directory_that_becomes_a_link_does_not_lead_outside(tmp_path: Path) -> None:
    inside, outside = tmp_path / "root" / "folder", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (inside / "file").write_bytes(b"inside")
    (outside / "file").write_bytes(SECRET)
    with Root(tmp_path / "root").directory(["folder"]) as directory:
        inside.rename(tmp_path / "root" / "moved")
        inside.symlink_to(outside)
        descriptor, _ = directory.open("file")
        with os.fdopen(descriptor, "rb") as file:
            assert file.read() == b"inside"
    assert status_of(tmp_path / "root", ["folder", "file"]) == 404


def test_links_are_refused_on_a_system_without_nofollow(
    tree: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_root, "RELATIVE", False)
    monkeypatch.setattr(served_root, "_NO_LINK", 0)
    for name in ("link-to-file", "link-nowhere", "link-out"):
        assert status_of(tree, [name]) == 404


def test_file_that_becomes_a_link_after_the_check_is_not_opened(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # If paths are checked first, a link that appears after the check is refused when the path
    # is opened, on systems that support that.
    monkeypatch.setattr(served_root, "RELATIVE", False)
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    assert status_of(tree, ["link-out"]) == 404


# Links that are followed


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["file"], b"file"),
        (["folder", "deep", "file"], b"deep"),
        (["link-to-file"], b"file"),
        (["link-to-folder", "deep", "file"], b"deep"),
        (["link-out"], SECRET),  # wherever they lead
        (["link-up", "secret"], SECRET),
        (["link-up", "root", "file"], b"file"),
        (["link-aside", "secret"], SECRET),
        (["folder", "link-up", "link-up", "secret"], SECRET),
    ],
)
def test_links_are_followed_if_allowed(
    tree: Path, way: str, names: Sequence[str], expected: bytes
) -> None:
    assert content(tree, names, Permissions.LINKS) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["link-nowhere"],
        ["link-nowhere", "file"],
        ["link-to-itself"],
        ["link-to-itself", "file"],
        ["link-to-folder"],
        ["link-to-file", "file"],
        ["link-up", "nothing"],
        ["link-up", "..", "secret"],
        ["..", "secret"],
        ["fifo"],
        ["nothing"],
        [".file"],
    ],
    ids="/".join,
)
def test_broken_or_unsuitable_links_get_404(tree: Path, way: str, names: Sequence[str]) -> None:
    before = open_descriptors()
    assert status_of(tree, names, Permissions.LINKS) == 404
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "names", [["file"], ["link-to-file"], ["nothing"], ["fifo"], ["folder", "x"]]
)
@pytest.mark.parametrize("allow", [NOTHING_MORE, Permissions.LINKS])
def test_path_through_a_file_gets_404(
    tree: Path, way: str, names: Sequence[str], allow: Permissions
) -> None:
    before = open_descriptors()
    with pytest.raises(HTTPError) as refusal, Root(tree, allow).directory(names):
        pass
    assert refusal.value.status == 404
    assert open_descriptors() == before


# Hidden names


@pytest.mark.parametrize(
    ("names", "expected"), [([".file"], b"hidden"), ([".hidden", "file"], b"within")]
)
def test_hidden_names_get_404_unless_allowed(
    tree: Path, way: str, names: Sequence[str], expected: bytes
) -> None:
    assert status_of(tree, names) == 404
    assert content(tree, names, Permissions.HIDDEN) == expected


# Status


def test_status_is_that_of_the_file_a_client_reaches(tree: Path, way: str) -> None:
    file = (tree / "file").stat()
    with Root(tree).directory() as directory:
        assert directory.status("file") == file
        assert directory.status("nothing") is None
        for name in ("link-to-file", "link-nowhere"):
            status = directory.status(name)
            assert status is not None
            assert stat.S_ISLNK(status.st_mode)
    with Root(tree, Permissions.LINKS).directory() as directory:
        assert directory.status("link-to-file") == file
        assert directory.status("link-nowhere") is None


def test_own_status_of_a_link_is_that_of_the_link(tree: Path, way: str) -> None:
    for allow in (NOTHING_MORE, Permissions.LINKS):
        with Root(tree, allow).directory(["folder"]) as directory:
            assert directory.own_status("link-up") == (tree / "folder" / "link-up").lstat()
            assert directory.own_status("nothing") is None


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 256, ".file", "\ud800", "a\0"])
def test_status_of_an_invisible_name_gets_404(tree: Path, way: str, name: str) -> None:
    with Root(tree).directory() as directory:
        for ask in (directory.status, directory.own_status):
            with pytest.raises(HTTPError) as refusal:
                ask(name)
            assert refusal.value.status == 404


@pytest.mark.parametrize("way", ["descriptors", "paths"], indirect=True)
def test_name_in_a_directory_can_be_passed_to_system_calls(tree: Path, way: str) -> None:
    with Root(tree).directory(["folder", "deep"]) as directory:
        assert (directory.descriptor is None) == (way == "paths")
        file = os.open(directory.at("file"), os.O_RDONLY, dir_fd=directory.descriptor)
    with os.fdopen(file, "rb") as opened:
        assert opened.read() == b"deep"


# Descriptors


def test_descriptors_are_preferred_to_paths() -> None:
    assert served_root.RELATIVE is (sys.platform != "win32")


def test_open_file_takes_one_descriptor(tree: Path, way: str) -> None:
    before = open_descriptors()
    descriptor, _ = open_regular(tree, ["folder", "deep", "file"])
    assert open_descriptors() == before + 1
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    assert open_descriptors() == before


def test_directory_is_closed_after_an_error(tree: Path) -> None:
    before = open_descriptors()
    with pytest.raises(ZeroDivisionError), Root(tree).directory(["folder", "deep"]) as directory:
        raise ZeroDivisionError(directory)
    assert open_descriptors() == before


def test_unreadable_directory_can_be_passed_through(public: Path, way: str) -> None:
    (public / "folder" / "deep").mkdir(parents=True)
    (public / "folder" / "deep" / "file").write_bytes(b"deep")
    (public / "folder").chmod(0o311)
    with as_unprivileged_user():
        assert content(public, ["folder", "deep", "file"]) == b"deep"
        assert content(public / "folder", ["deep", "file"]) == b"deep"
        before = open_descriptors()
        with Root(public).directory(["folder"]) as directory:
            if way == "descriptors":
                with pytest.raises(HTTPError) as refusal, directory.readable():
                    pytest.fail("it may not be read")
                assert refusal.value.status == 403
        assert open_descriptors() == before


def test_readable_directory_is_listed(tree: Path, way: str) -> None:
    before = open_descriptors()
    with (
        Root(tree).directory(["folder"]) as directory,
        directory.readable() as place,
        os.scandir(place) as entries,
    ):
        assert sorted([entry.name for entry in entries]) == ["deep", "link-up"]
    assert open_descriptors() == before


def test_file_without_a_status_does_not_stay_open(
    tree: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> os.stat_result:
        raise OSError(errno.EIO, "broken")

    before = open_descriptors()
    with Root(tree).directory() as directory, monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail)
        with pytest.raises(HTTPError) as refusal:
            directory.open("file")
    assert refusal.value.status == 503
    assert open_descriptors() == before


def test_directory_can_be_kept_open(tree: Path, way: str) -> None:
    before = open_descriptors()
    directory = Root(tree).open(["folder", "deep"])
    descriptor, _ = directory.open("file")
    os.close(descriptor)
    descriptor, _ = directory.reopen("file")
    with os.fdopen(descriptor, "rb") as file:
        assert file.read() == b"deep"
    directory.close()
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["link-to-file", "link-out", "folder", "fifo", "gone"])
def test_only_regular_files_are_reopened(tree: Path, way: str, name: str) -> None:
    with Root(tree).directory() as directory:
        before = open_descriptors()
        with pytest.raises((HTTPError, OSError)):
            directory.reopen(name)
        assert open_descriptors() == before


# Forcing names to the disk


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF])
def test_file_system_that_cannot_force_directories_is_accepted(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing_with(number))
    with Root(tmp_path).directory() as directory:
        directory.flush()


def test_directory_that_cannot_be_forced_to_the_disk_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing_with(errno.EIO))
    with Root(tmp_path).directory() as directory, pytest.raises(HTTPError) as refusal:
        directory.flush()
    assert refusal.value.status == 503


def test_all_is_forced_to_the_disk_where_a_directory_may_not_be_read(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    (public / "drop").mkdir()
    (public / "drop").chmod(0o333)
    with as_unprivileged_user(), Root(public / "drop").directory() as directory:
        directory.flush()
    assert synced == [True]
