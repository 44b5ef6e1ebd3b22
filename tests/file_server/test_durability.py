"""Changes that are forced to the disk before the client is told of them."""

import os
import stat
from pathlib import Path

import pytest

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server import unfinished_upload
from trio_http.file_server.app import files
from trio_http.file_server.durability import Durability
from trio_http.file_server.permissions import Permissions
from trio_http.semantics.headers import Headers
from trio_http.testing import open_client


@pytest.fixture(params=["unnamed", "named", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to write a new file, whatever this system offers."""
    if request.param != "unnamed":
        monkeypatch.setattr(unfinished_upload, "UNNAMED", 0)
    if request.param == "paths":
        monkeypatch.setattr(served_root, "RELATIVE", False)
    return str(request.param)


@pytest.fixture
def forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths forced to the disk, each with the content of ``name`` at that moment."""
    found: list[str] = []

    def fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        path = tmp_path / "name"
        found.append(f"{kind} {path.read_text() if path.exists() else '-'}")
        really_fsync(descriptor)

    really_fsync = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    return found


async def status_of(
    root: Path, method: str, durability: Durability = Durability.DISK, body: bytes = b"new"
) -> int:
    app = files(root, allow=Permissions.WRITING, durability=durability)
    async with open_client(app) as client:
        return (await client.request(method, "/name", Headers(), body)).status


@pytest.mark.parametrize("before", ["old", "-"])
async def test_file_is_forced_before_it_is_placed_and_its_directory_after(
    tmp_path: Path, way: str, forced: list[str], before: str
) -> None:
    if before == "old":
        (tmp_path / "name").write_text("old")
    assert await status_of(tmp_path, "PUT") == (204 if before == "old" else 201)
    names = [] if way == "paths" else ["directory new"]  # Windows cannot force them
    assert forced == [f"file {before}", "file new", *names]


@pytest.mark.parametrize(("method", "status"), [("PUT", 204), ("DELETE", 204)])
async def test_nothing_is_forced_unless_asked_for(
    tmp_path: Path, forced: list[str], method: str, status: int
) -> None:
    (tmp_path / "name").write_text("old")
    assert await status_of(tmp_path, method, Durability.SYSTEM, b"") == status
    assert forced == []
