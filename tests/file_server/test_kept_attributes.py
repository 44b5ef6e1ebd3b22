"""Tests of attributes that a replacement keeps: its permissions never become wider."""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import as_unprivileged_user

from trio_http.file_server import kept_attributes
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.kept_attributes import ACL, keep_attributes, mode_for

USERS, OTHER_USERS = 1234, 1235
GROUP, OTHER_GROUP = 2345, 2346

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes files of other users")


def acl(*named: tuple[int, int], group: int = 4, mask: int = 6, others: int = 0) -> bytes:
    """Return an ACL in Linux's format (acl(5)): rights of users by number, and of others."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody)]
    entries += [(2, permissions, user) for user, permissions in named]
    entries += [(4, group, nobody), (0x10, mask, nobody), (0x20, others, nobody)]
    return struct.pack("<I", 2) + b"".join([struct.pack("<HHI", *entry) for entry in entries])


def acl_of(path: Path) -> bytes | None:
    return os.getxattr(path, ACL) if ACL in os.listxattr(path) else None


@pytest.fixture
def attributes_here(public: Path) -> None:
    """Skip tests of ACLs and attributes if this system or file system does not support them."""
    if not hasattr(os, "setxattr"):
        pytest.skip("no attributes on this system")
    path = public / "try"
    path.touch()
    try:
        os.setxattr(path, "user.try", b"")
        os.setxattr(path, ACL, acl((1, 1)))
    except OSError as error:
        pytest.skip(f"no attributes on this file system: {error}")
    path.unlink()


@contextmanager
def made_new(directory: Path, mode: int = 0o600) -> Iterator[int]:
    descriptor = os.open(directory / "new", os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def keep(directory: Path) -> os.stat_result:
    """Create a file with the attributes of the old one, and return its status."""
    with made_new(directory) as file, Root(directory).directory() as opened:
        keep_attributes(opened, "old", file)
    return (directory / "new").stat()


@pytest.fixture(params=["places", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With Linux's functions, and with those of other systems."""
    if request.param == "paths":
        monkeypatch.setattr(kept_attributes, "CAN_KEEP_ATTRIBUTES", False)
    return str(request.param)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400, 0o000, 0o604, 0o777])
def test_mode_is_kept(public: Path, way: str, mode: int) -> None:
    (public / "old").touch()
    (public / "old").chmod(mode)
    assert stat.S_IMODE(keep(public).st_mode) == mode


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755, 0o1755])
def test_setuid_and_capabilities_are_not_kept(public: Path, way: str, mode: int) -> None:
    (public / "old").touch()
    (public / "old").chmod(mode)
    assert stat.S_IMODE(keep(public).st_mode) == 0o755


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o4750])
def test_owner_and_group_are_kept_by_a_privileged_process(
    public: Path, way: str, mode: int
) -> None:
    (public / "old").touch()
    os.chown(public / "old", USERS, GROUP)
    (public / "old").chmod(mode)
    status = keep(public)
    assert (status.st_uid, status.st_gid) == (USERS, GROUP)
    assert stat.S_IMODE(status.st_mode) == mode & 0o777


@needs_root
def test_group_is_kept_if_only_the_owner_cannot_be(public: Path, way: str) -> None:
    (public / "old").touch()
    os.chown(public / "old", USERS, GROUP)
    (public / "old").chmod(0o640)
    groups = os.getgroups()
    os.setgroups([GROUP])
    try:
        with as_unprivileged_user():
            status = keep(public)
    finally:
        os.setgroups(groups)
    assert (status.st_uid, status.st_gid) == (65534, GROUP)
    assert stat.S_IMODE(status.st_mode) == 0o640


@needs_root
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o640, 0o600),  # another group, to which the file was closed
        (0o664, 0o644),
        (0o604, 0o600),  # members of the old group, which had no rights, now count as others
        (0o755, 0o755),
    ],
)
def test_lost_group_never_widens_permissions(
    public: Path, way: str, mode: int, expected: int
) -> None:
    (public / "old").touch()
    os.chown(public / "old", USERS, GROUP)
    (public / "old").chmod(mode)
    with as_unprivileged_user():
        assert stat.S_IMODE(keep(public).st_mode) == expected


@pytest.mark.parametrize("mode", range(0o1000))
def test_mode_for_a_lost_group_grants_no_new_right(mode: int) -> None:
    user, group, others = (
        mode_for(mode, has_group=False, has_acl=True) >> n & 7 for n in (6, 3, 0)
    )
    assert user == mode >> 6
    # Members of the new group were in the old group or among others; so were the others.
    for right in (group, others):
        assert right & ~(mode >> 3 & 7) == 0
        assert right & ~(mode & 7) == 0


@pytest.mark.parametrize("mode", [0o777, 0o640, 0o4755])
def test_mode_for_a_lost_acl_is_for_the_owner_only(mode: int) -> None:
    for has_group in (False, True):
        assert mode_for(mode, has_group, has_acl=False) == mode & 0o700


def test_acl_is_kept(public: Path, attributes_here: None) -> None:
    (public / "old").touch()
    os.setxattr(public / "old", ACL, acl((USERS, 6), (OTHER_USERS, 4)))
    mode = (public / "old").stat().st_mode
    assert keep(public).st_mode == mode
    assert acl_of(public / "new") == acl((USERS, 6), (OTHER_USERS, 4))


def test_default_acl_of_a_directory_is_not_given_to_a_replacement(
    public: Path, attributes_here: None
) -> None:
    (public / "old").touch(0o600)
    os.setxattr(public, "system.posix_acl_default", acl((USERS, 6)))
    assert stat.S_IMODE(keep(public).st_mode) == 0o600
    assert acl_of(public / "new") is None


@needs_root
def test_acl_of_another_group_is_dropped_and_only_the_owner_has_access(
    public: Path, attributes_here: None
) -> None:
    (public / "old").touch()
    os.chown(public / "old", USERS, GROUP)
    os.setxattr(public / "old", ACL, acl((OTHER_USERS, 4)))
    with as_unprivileged_user():
        assert stat.S_IMODE(keep(public).st_mode) == 0o600
    assert acl_of(public / "new") is None


class Failing:
    """Makes system calls fail as they do on other file systems."""

    def __init__(self, patching: pytest.MonkeyPatch) -> None:
        self._patching = patching

    def __call__(self, name: str, number: int, *, attribute: str = "") -> None:
        call = getattr(os, name)

        def fail(*arguments: object, **options: object) -> object:
            if attribute and attribute not in arguments:
                return call(*arguments, **options)
            raise OSError(number, os.strerror(number))

        self._patching.setattr(os, name, fail)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


@pytest.mark.parametrize("call", ["getxattr", "setxattr"])
def test_acl_that_cannot_be_kept_leaves_access_to_the_owner_only(
    public: Path, attributes_here: None, failing: Failing, call: str
) -> None:
    (public / "old").touch()
    os.setxattr(public / "old", ACL, acl((USERS, 6)))
    failing(call, 5, attribute=ACL)
    assert stat.S_IMODE(keep(public).st_mode) == 0o600


def test_default_acl_that_cannot_be_removed_grants_no_right(
    public: Path, attributes_here: None, failing: Failing
) -> None:
    (public / "old").touch(0o660)
    os.setxattr(public, "system.posix_acl_default", acl((USERS, 6)))
    failing("removexattr", 5)
    assert stat.S_IMODE(keep(public).st_mode) == 0o600  # the group's digit is the mask of the ACL


def test_mode_is_kept_without_support_for_attributes(
    public: Path, attributes_here: None, failing: Failing
) -> None:
    (public / "old").touch()
    (public / "old").chmod(0o640)
    for call in ("getxattr", "setxattr", "removexattr", "listxattr"):
        failing(call, 95)  # ENOTSUP
    assert stat.S_IMODE(keep(public).st_mode) == 0o640


def test_mode_that_cannot_be_set_raises_only_if_it_would_be_wider(
    public: Path, failing: Failing
) -> None:
    (public / "old").touch()
    failing("fchmod", 1)
    (public / "old").chmod(0o640)
    assert stat.S_IMODE(keep(public).st_mode) == 0o600
    (public / "new").unlink()
    (public / "old").chmod(0o400)
    with pytest.raises(PermissionError):
        keep(public)


def test_attributes_are_kept(public: Path, attributes_here: None) -> None:
    (public / "old").touch()
    os.setxattr(public / "old", "user.mime_type", b"text/plain")
    os.setxattr(public / "old", "user.empty", b"")
    keep(public)
    assert os.getxattr(public / "new", "user.mime_type") == b"text/plain"
    assert sorted(os.listxattr(public / "new")) == ["user.empty", "user.mime_type"]


@needs_root
def test_capabilities_are_not_kept(public: Path, attributes_here: None) -> None:
    (public / "old").touch()
    # CAP_NET_BIND_SERVICE, effective and permitted, in version 2 of the format.
    capability = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    os.setxattr(public / "old", "security.capability", capability)
    keep(public)
    assert os.listxattr(public / "new") == []


@needs_root
def test_unreadable_attribute_is_not_kept_and_others_are(
    public: Path, attributes_here: None
) -> None:
    (public / "old").touch()
    os.setxattr(public / "old", "user.secret", b"1")
    (public / "old").chmod(0o600)
    with as_unprivileged_user():
        keep(public)
    assert os.listxattr(public / "new") == []


def test_replaced_thing_other_than_a_file_gives_no_rights(public: Path, way: str) -> None:
    (public / "elsewhere").touch(0o666)
    (public / "old").symlink_to("elsewhere")
    with made_new(public, 0o640) as file, Root(public).directory() as opened:
        keep_attributes(opened, "old", file)
        assert stat.S_IMODE(os.fstat(file).st_mode) == 0o600


def test_missing_file_has_no_attributes_to_keep(public: Path, way: str) -> None:
    assert stat.S_IMODE(keep(public).st_mode) == 0o600


def test_nothing_is_kept_on_a_system_without_modes(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_attributes, "CAN_KEEP_MODES", False)
    (public / "old").touch(0o644)
    assert stat.S_IMODE(keep(public).st_mode) == 0o600
