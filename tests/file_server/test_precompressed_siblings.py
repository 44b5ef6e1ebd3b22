"""Tests of precompressed siblings: which of them are used, and for how long."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
import trio.testing
from support import as_unprivileged_user, open_descriptors

from trio_http.file_server import precompressed_siblings, versions
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.cache import by_version
from trio_http.file_server.permissions import NOTHING_MORE, Permissions
from trio_http.file_server.precompressed_siblings import SUFFIXES, PrecompressedSiblings
from trio_http.file_server.versions import version_of
from trio_http.semantics.content_coding import encoded
from trio_http.semantics.content_decoding import DECODERS

# Worker threads do the decoding, so these tests do not use an autojump clock.

TEXT = b"".join([b"%d of many lines\n" % number for number in range(20_000)])


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every file as changed long ago."""
    monkeypatch.setattr(precompressed_siblings, "SETTLED", -1)
    monkeypatch.setattr(versions, "SETTLED", -1)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A directory with a file, called ``file``, and all its possible siblings."""
    (tmp_path / "file").write_bytes(TEXT)
    for coding, suffix in SUFFIXES.items():
        (tmp_path / f"file{suffix}").write_bytes(encoded(TEXT, coding))
    return tmp_path


def found_now(
    root: Path, known: PrecompressedSiblings, name: str = "file", allow: Permissions = NOTHING_MORE
) -> list[str]:
    with Root(root, allow).directory() as directory:
        descriptor, status = directory.open(name)
        try:
            found = known.of(directory, name, (descriptor, status))
            for coding, version in found.items():
                assert version == version_of((root / f"{name}{SUFFIXES[coding]}").stat())
            return list(found)
        finally:
            os.close(descriptor)


async def found(
    root: Path,
    known: PrecompressedSiblings | None = None,
    name: str = "file",
    allow: Permissions = NOTHING_MORE,
) -> list[str]:
    known = known or PrecompressedSiblings()
    return await trio.to_thread.run_sync(found_now, root, known, name, allow)


async def test_siblings_are_found_by_their_suffixes_best_first(family: Path, way: str) -> None:
    (family / "file.xz").write_bytes(b"")
    (family / "other.gz").write_bytes(encoded(TEXT, "gzip"))
    assert await found(family) == ["zstd", "br", "gzip"]
    (family / "file.br").unlink()
    assert await found(family) == ["zstd", "gzip"]
    assert await found(family, name="file.gz") == []


async def test_sibling_in_a_coding_without_decoder_is_ignored(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompressed_siblings, "DECODERS", {"gzip": DECODERS["gzip"]})
    assert await found(family) == ["gzip"]


@pytest.mark.parametrize("coding", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        lambda _: b"",
        lambda coding: encoded(TEXT, coding)[:-1],
        lambda coding: encoded(TEXT, coding)[:1000],
        lambda coding: encoded(TEXT, coding) + b"more",
        lambda coding: encoded(TEXT, coding) + encoded(b"", coding),
        lambda coding: encoded(TEXT + b"!", coding),
        lambda coding: encoded(TEXT[:-1], coding),
        lambda coding: encoded(TEXT.swapcase(), coding),  # of the right length
        lambda coding: encoded(TEXT[:-1] + b"!", coding),
        lambda coding: encoded(b"", coding),
        lambda _: TEXT,
        lambda _: encoded(TEXT, "deflate"),
    ],
    ids=[
        "empty",
        "all but a byte",
        "the start",
        "and something else",
        "two members",
        "of more",
        "of less",
        "of other bytes",
        "of another end",
        "of nothing",
        "not coded",
        "in another coding",
    ],
)
async def test_sibling_that_differs_from_the_file_is_ignored(
    family: Path, coding: str, content: Callable[[str], bytes]
) -> None:
    known = PrecompressedSiblings()
    (family / f"file{SUFFIXES[coding]}").write_bytes(content(coding))
    for _ in range(2):
        assert coding not in await found(family, known)
    (family / f"file{SUFFIXES[coding]}").write_bytes(encoded(TEXT, coding))
    assert coding in await found(family, known)


async def test_empty_file_has_no_siblings(family: Path) -> None:
    (family / "file").write_bytes(b"")
    (family / "file.gz").write_bytes(encoded(b"", "gzip"))
    assert await found(family) == []


async def test_long_file_has_no_siblings(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompressed_siblings, "LONGEST", len(TEXT))
    assert "gzip" in await found(family)
    monkeypatch.setattr(precompressed_siblings, "LONGEST", len(TEXT) - 1)
    assert await found(family) == []


async def test_newly_changed_file_or_sibling_is_ignored(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Setting the time back is a change, too.
    for name in ("file", "file.gz"):
        os.utime(family / name, (1, 1))
    monkeypatch.setattr(precompressed_siblings, "SETTLED", 3600 * 10**9)
    assert await found(family) == []
    ages = iter([3600 * 10**9, 0, 3600 * 10**9, 3600 * 10**9])  # of the file and its siblings
    monkeypatch.setattr(precompressed_siblings, "age_of", lambda _: next(ages))
    assert await found(family) == ["br", "gzip"]


async def test_sibling_is_decoded_once_per_version(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def watched(coding: str, file: int, sibling: int) -> bool:
        decoded.append(coding)
        return is_same(coding, file, sibling)

    is_same = precompressed_siblings.is_same
    monkeypatch.setattr(precompressed_siblings, "is_same", watched)
    known = PrecompressedSiblings()
    for _ in range(3):
        assert await found(family, known) == ["zstd", "br", "gzip"]
    assert decoded == ["zstd", "br", "gzip"]
    # Like rsync -t: the same length and time.
    status = (family / "file.gz").stat()
    while version_of((family / "file.gz").stat()) == version_of(status):
        (family / "file.gz").write_bytes(bytes(status.st_size))
        os.utime(family / "file.gz", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert await found(family, known) == ["zstd", "br"]
    (family / "file").write_bytes(TEXT.upper())
    assert await found(family, known) == []
    assert decoded == ["zstd", "br", "gzip", "gzip", "zstd", "br", "gzip"]


@pytest.mark.parametrize("name", ["file", "file.gz"])
async def test_sibling_that_changes_while_decoded_is_not_used(
    family: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def change(coding: str, file: int, sibling: int) -> bool:
        with (family / name).open("ab") as changed:
            changed.write(b"!")
        return True

    monkeypatch.setattr(precompressed_siblings, "DECODERS", {"gzip": DECODERS["gzip"]})
    with monkeypatch.context() as patch:
        patch.setattr(precompressed_siblings, "is_same", change)
        assert await found(family) == []


async def test_file_is_sent_without_siblings_while_others_are_decoded(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = PrecompressedSiblings()
    within: list[list[str]] = []

    def meanwhile(coding: str, file: int, sibling: int) -> bool:
        within.append(found_now(family, known))
        return True

    with monkeypatch.context() as patch:
        patch.setattr(precompressed_siblings, "DECODERS", {"gzip": DECODERS["gzip"]})
        patch.setattr(precompressed_siblings, "is_same", meanwhile)
        assert await found(family, known) == ["gzip"]
    assert within == [[]]
    assert await found(family, known) == ["zstd", "br", "gzip"]  # the empty result is not kept


async def test_decoding_is_cancelled_when_the_client_leaves(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Reading a sparse file of four terabytes takes an hour.
    for name in ("file", "file.gz"):
        (family / name).write_bytes(b"")
        os.truncate(family / name, 2**42)
    monkeypatch.setattr(precompressed_siblings, "LONGEST", 2**42)
    monkeypatch.setattr(precompressed_siblings, "DECODERS", {"gzip": iter})
    limiter = trio.to_thread.current_default_thread_limiter()
    known = PrecompressedSiblings()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found, family, known)
        await trio.testing.wait_all_tasks_blocked()
        assert limiter.borrowed_tokens == 1
        nursery.cancel_scope.cancel()
    assert limiter.borrowed_tokens == 0
    assert not known._decoding.locked()


async def test_sibling_must_be_a_regular_file(family: Path, way: str) -> None:
    for name in ("file.gz", "file.br"):
        (family / name).unlink()
    (family / "file.gz").mkdir()
    os.mkfifo(family / "file.br")
    assert await found(family) == ["zstd"]


async def test_sibling_outside_is_ignored_unless_links_are_followed(family: Path, way: str) -> None:
    root = family / "root"
    root.mkdir()
    (root / "file").write_bytes(TEXT)
    (root / "file.gz").symlink_to(family / "file.gz")
    (root / "file.br").symlink_to("nowhere")
    (root / "file.zst").symlink_to("file.zst")
    assert await found(root) == []
    assert await found(root, allow=Permissions.LINKS) == ["gzip"]


async def test_name_too_long_for_a_suffix_has_no_siblings(family: Path, way: str) -> None:
    (family / ("x" * 255)).write_bytes(TEXT)
    assert await found(family, name="x" * 255) == []


async def test_disk_error_only_disables_siblings(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, offset: int, size: int) -> bytes:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(precompressed_siblings, "read_slice", fail)
    assert await found(family) == []


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A directory that every user can reach, with a sibling that none can read."""
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "file").write_bytes(TEXT)
        (root / "file.gz").write_bytes(encoded(TEXT, "gzip"))
        (root / "file").chmod(0o644)
        (root / "file.gz").chmod(0)
        yield root


async def test_sibling_that_cannot_be_opened_is_ignored(way: str) -> None:
    with reachable_folder() as root, as_unprivileged_user():
        assert await found(root) == []


async def test_no_descriptor_stays_open(family: Path) -> None:
    await found(family)
    before = open_descriptors()
    (family / "file.gz").write_bytes(b"")
    (family / "file.br").write_bytes(TEXT)
    assert await found(family) == ["zstd"]
    assert open_descriptors() == before


async def test_number_of_remembered_files_is_limited(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_version, "REMEMBERED", 1)
    known = PrecompressedSiblings()
    for _ in range(2):
        assert await found(family, known) == ["zstd", "br", "gzip"]
