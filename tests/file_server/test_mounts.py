"""Tests of mounts: which file systems count as local."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_http.file_server import mounts
from trio_http.file_server.mounts import BELIEVED, Mounts, local_mounts, mount_of

# Linux's format: ID, parent, device, mounted part, mount point, options, others, type.
EXT4 = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"
BTRFS = "31 27 0:29 /@home /home rw,relatime shared:1 master:7 - btrfs /dev/sdb2 rw,subvol=/@home"
TMPFS = "25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=24684096k"
OVERLAY = "99 27 0:51 / /mnt/with\\040blank rw - overlay overlay rw,lowerdir=/a:/b"
NFS = "41 27 0:44 / /srv/nfs rw,relatime shared:3 - nfs4 server:/export rw,vers=4.2"
SSHFS = "42 27 0:45 / /srv/ssh rw,nosuid - fuse.sshfs me@there: rw,user_id=0"
SMB = "43 27 0:46 / /srv/smb rw - cifs //there/share rw"
HOST = "44 27 0:47 / /srv/host rw - 9p host rw"
AUTO = "45 27 0:48 / /net rw - autofs /etc/auto.net rw"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], set()),
        ([EXT4], {27}),
        ([EXT4, BTRFS, TMPFS, OVERLAY], {27, 31, 25, 99}),
        ([NFS, SSHFS, SMB, HOST, AUTO], set()),
        ([NFS, EXT4, SSHFS], {27}),
        (["46 27 0:49 / /srv/odd\u2028ext4 rw - nfs4 there:/ext4 rw"], set()),  # not a line end
        (["47 27 0:50 / /- rw - xfs /dev/sdc rw"], {47}),
        (["48 27 0:50 / /no/type rw"], set()),
    ],
)
def test_local_file_systems_are_recognized(lines: list[str], expected: set[int]) -> None:
    assert local_mounts("".join([f"{line}\n" for line in lines])) == expected


@pytest.mark.parametrize(
    ("fdinfo", "expected"),
    [
        ("pos:\t0\nflags:\t012000000\nmnt_id:\t27\nino:\t2146769\n", 27),
        ("pos:\t0\nflags:\t02\n", None),  # before Linux 3.15, and similar text
        ("", None),
    ],
)
def test_mount_id_of_an_open_file_is_parsed(fdinfo: str, expected: int | None) -> None:
    assert mount_of(fdinfo) == expected


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.skipif(not mounts.MOUNTINFO.exists(), reason="this system does not tell")
def test_open_file_has_a_mount(directory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = mounts.MOUNTINFO.read_text().splitlines()
    types = [line.partition(" - ")[2].split(" ")[0] for line in lines]
    monkeypatch.setattr(mounts, "LOCAL_TYPES", {*types})
    assert Mounts().is_local(directory)
    monkeypatch.setattr(mounts, "LOCAL_TYPES", set())
    assert not Mounts().is_local(directory)


def test_mount_table_is_cached_for_ten_seconds(
    directory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    known = Mounts(clock)
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "mountinfo")
    (tmp_path / "mountinfo").write_text("")
    assert not known.is_local(directory)
    (tmp_path / "mountinfo").unlink()  # as on other systems, where all files are local
    clock.now = BELIEVED * 0.99
    assert not known.is_local(directory)
    clock.now = BELIEVED
    assert known.is_local(directory)


def test_file_without_a_descriptor_is_local() -> None:
    assert Mounts().is_local(None)


def test_closed_descriptor_is_not_local() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    assert not Mounts().is_local(reading)
