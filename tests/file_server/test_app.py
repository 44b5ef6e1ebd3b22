"""Tests of files over HTTP: their bytes and types, and that nothing outside is served."""

import fcntl
import gzip
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from json import loads
from pathlib import Path
from urllib.parse import quote

import pytest
import trio
import trio.testing
from support import NO_BODY, as_unprivileged_user, open_descriptors

from trio_http.apps.routing import Router
from trio_http.file_server import (
    lookup_pace,
    mounts,
    precompressed_siblings,
    retries,
    versions,
    virtual_files,
)
from trio_http.file_server.app import FilesApp, files
from trio_http.file_server.cache import expiring, file_digests
from trio_http.file_server.cache.open_directories import MOST
from trio_http.file_server.listing.page import Uploads, policy
from trio_http.file_server.permissions import PART_PREFIX, PART_SUFFIX, Permissions
from trio_http.http1.app_lifetime import Servable
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import Ending, Failure, Record, ServerEvent
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.content_coding import encoded
from trio_http.semantics.digests import Digest
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.validators import parse_date
from trio_http.serving.single_stream import serve_stream
from trio_http.testing import Client, open_client
from trio_http.transport import page_cache, threads
from trio_http.transport.page_cache import read_slice
from trio_http.transport.threads import Threads

# Worker threads open and read the files, so these tests do not use an autojump clock.

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to be served, next to a file outside of it."""
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(EVERY_BYTE)
    (root / "link").symlink_to("file")
    (root / "link-out").symlink_to(tmp_path / "secret")
    (root / "link-up").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    "name", ["file", "a b", "é", "back\\slash", "%2e%2e", "q?x=y", "a...", "~"]
)
@pytest.mark.parametrize("data", [b"", b"\0", EVERY_BYTE], ids=["empty", "NUL", "every byte"])
async def test_file_is_sent_byte_for_byte(root: Path, name: str, data: bytes) -> None:
    (root / name).write_bytes(data)
    async with open_client(files(root)) as client:
        answer = await client.get("/" + quote(name, safe=""))
        assert (answer.status, answer.reason, answer.body) == (200, "OK", data)
        assert answer.headers["Content-Length"] == str(len(data))


async def test_file_with_a_name_that_is_not_text_is_sent(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    async with open_client(files(root)) as client:
        assert (await client.get("/caf%E9")).body == b"latin"


async def test_nested_file_is_sent(root: Path, way: str) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").write_bytes(b"deep")
    async with open_client(files(root)) as client:
        assert (await client.get("/a/b/c")).body == b"deep"
        assert (await client.get("/%61/b/c?d")).body == b"deep"
        assert (await client.get("http://test/a/b/c")).body == b"deep"


async def test_root_may_be_a_string(root: Path) -> None:
    async with open_client(files(str(root))) as client:
        assert (await client.get("/file")).body == EVERY_BYTE


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/nothing",
        "/file/",
        "/file/x",
        "//file",
        "/file/.",
        "/../secret",
        "/../root/file",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        r"/..\secret",
        "/%252e%252e/secret",  # escaped twice, so decoded only once
        "/..;/secret",
        "/..%00/secret",
        "/%c0%ae%c0%ae/secret",  # overlong encoding of dots, which is not UTF-8 (RFC 3629 10)
        "/file%00",
        "/file%00.txt",
        "/%2Ffile",
        "//etc/passwd",
        "/%2Fetc%2Fpasswd",
        "/C:%5csecret",
        "http://test/../secret",
        "http://test",
        "/link",
        "/link-out",
        "/link-up/secret",
        "/link-up/root/file",
        "/" + "x" * 300,
        "/" + "x/" * 3000,
        "/.hidden",
        "/.hidden/",
        "/..",
        "/../",
        "/../root/",
        "/link-up/",
        "/link-up/root/",
    ],
    ids=lambda target: target[:30],
)
async def test_target_outside_of_the_root_gets_404(root: Path, way: str, target: str) -> None:
    async with open_client(files(root)) as client:
        answer = await client.get(target)
        assert answer.status == 404
        assert b"secret" not in answer.body
        assert str(root).encode() not in answer.body


async def test_only_regular_files_are_sent(root: Path, way: str) -> None:
    (root / "folder").mkdir()
    os.mkfifo(root / "fifo")
    async with open_client(files(root)) as client:
        assert (await client.get("/folder")).status == 404
        assert (await client.get("/folder/")).status == 404
        assert (await client.get("/fifo")).status == 404
    async with open_client(files("/dev")) as client:
        assert (await client.get("/zero")).status == 404


async def test_head_gets_the_fields_without_the_body(root: Path) -> None:
    async with open_client(files(root)) as client:
        head = await client.request("HEAD", "/file")
        get = await client.get("/file")
        assert (head.status, head.body, get.body) == (200, b"", EVERY_BYTE)
        for name in ("Content-Length", "Content-Type"):
            assert head.headers[name] == get.headers[name]
        assert (await client.request("HEAD", "/nothing")).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_methods_that_write_get_405(root: Path, method: str) -> None:
    async with open_client(files(root)) as client:
        answer = await client.request(method, "/file", body=b"x")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (root / "file").read_bytes() == EVERY_BYTE


async def test_unknown_method_gets_501(root: Path) -> None:
    async with open_client(files(root, allow=Permissions.WRITING)) as client:
        assert (await client.request("get", "/file")).status == 501


@pytest.mark.parametrize(
    ("target", "allow", "expected"),
    [
        ("/file", Permissions(0), "GET, HEAD, OPTIONS"),
        ("/", ~Permissions.WRITING, "GET, HEAD, OPTIONS"),
        ("/file", Permissions.WRITING, "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/nothing", Permissions.WRITING, "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/", Permissions.WRITING, "GET, HEAD, OPTIONS, POST"),
        ("/folder/", Permissions.WRITING, "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_options_gets_the_methods_of_a_path(
    root: Path, target: str, allow: Permissions, expected: str
) -> None:
    async with open_client(files(root, allow=allow)) as client:
        answer = await client.request("OPTIONS", target)
        assert (answer.status, answer.headers["Allow"], answer.body) == (204, expected, b"")
        answer = await client.request("PATCH", target, body=b"x")
        assert (answer.status, answer.headers["Allow"]) == (405, expected)


async def test_options_of_the_server_gets_no_methods(root: Path) -> None:
    async with open_client(files(root)) as client:
        answer = await client.request("OPTIONS", "*")  # RFC 9110 9.3.7
        assert (answer.status, "Allow" in answer.headers) == (204, False)


async def test_files_can_be_mounted(root: Path) -> None:
    app = Router()
    app.mount("/in/here", files(root))
    async with open_client(app) as client:
        assert (await client.get("/in/here/file")).body == EVERY_BYTE
        for target in ("/in/here", "/in/here/", "/in/here/../secret", "/in/here//file"):
            assert (await client.get(target)).status == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/site/private/x.txt", 403),
        ("/site/%70rivate/x.txt", 403),
        ("/%73ite/priv%61te/x%2Etxt", 403),
        ("/site/./private/x.txt", 403),
        ("/site/x/../private/x.txt", 403),
        ("/site/x/%2e%2E/private/x.txt", 403),
        ("/site/%2e%2e/site/private/..", 404),  # the site itself, which has no index
        ("/../site/private/y/../x.txt", 403),
        ("http://test/site/%70rivate/x.txt", 403),
        ("/site/private%21/x.txt", 403),
        ("/site/private!/x.txt", 403),
        ("/site/%70rivate%21/./x.txt", 403),
        # These lead to no file, so nothing has to be refused.
        ("/site//private/x.txt", 404),
        ("//site/private/x.txt", 404),
        ("/site/private%2Fx.txt", 404),
        ("/site%2Fprivate/x.txt", 404),
        ("/site/.%2Fprivate/x.txt", 404),
        ("/site/\\private/x.txt", 404),
        ("/site/private;/x.txt", 404),
        ("/site/private%00/x.txt", 404),
        ("/site/%2570rivate/x.txt", 404),
        ("/site/public/x.txt", 200),
        ("/site/private/../public/x.txt", 200),
        ("/site/public/%2e/x.txt", 200),  # as apt writes it
    ],
)
async def test_no_spelling_of_a_path_bypasses_its_guard(
    root: Path, target: str, status: int
) -> None:
    for name in ("public", "private", "private!"):
        (root / name).mkdir()
        (root / name / "x.txt").write_bytes(name.encode())
    app = Router()

    async def forbid(request: Request, rest: str) -> Response:
        raise HTTPError(403)

    app.get("/site/private/{rest:path}")(forbid)
    app.get("/site/private!/{rest:path}")(forbid)
    app.mount("/site", files(root))
    async with open_client(app) as client:
        for _ in range(3):  # looked up, known, and cached
            answer = await client.get(target)
            assert answer.status == status
            assert status != 200 or answer.body == b"public"


async def test_large_file_arrives_complete_over_a_real_socket(root: Path) -> None:
    # More than the kernel takes at once, in pieces that all differ.
    data = b"".join([number.to_bytes(4, "big") for number in range(1_000_000)])
    (root / "large").write_bytes(data)
    async with open_socket_client(files(root)) as client:
        answer = await client.get("/large")
        assert answer.headers["Content-Length"] == str(len(data))
        assert answer.body == data
        assert (await client.get("/file")).body == EVERY_BYTE


@asynccontextmanager
async def open_socket_client(app: App) -> AsyncIterator[Client]:
    """Connect a client over sockets of the kernel."""
    near, far = trio.socket.socketpair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, app, trio.SocketStream(far))
        async with trio.SocketStream(near) as connection:
            yield Client(connection)
        nursery.cancel_scope.cancel()


async def test_response_breaks_off_when_its_file_becomes_shorter(root: Path) -> None:
    # The length has been promised, and the bytes for it are missing.
    path = root / "large"
    path.write_bytes(bytes(10_000_000))
    events: list[ServerEvent] = []
    async with open_client(files(root), report=events.append) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        begun = await client.stream.receive_some(100)
        os.truncate(path, 100_000)
        assert b"200 OK" in begun
        assert len(await client.rest()) < 10_000_000
    assert [event.ending for event in events if isinstance(event, Record)] == [Ending.ABORTED]


async def test_no_descriptor_stays_open(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "page").touch()
    (root / "page.gz").touch()
    async with open_client(files(root)) as client:
        for _ in range(2):
            await client.get("/file")
        before = open_descriptors()  # with the directory itself, which stays open for a second
        for target in ("/file", "/nothing", "/link", "/fifo", "/../secret", "/page"):
            for accepted in ("identity", "gzip"):
                await client.get(target, [("Accept-Encoding", accepted)])
                await client.request("HEAD", target)
        assert open_descriptors() <= before


# Descriptors that are held open


async def held_after_requests(app: Servable, before: int) -> int:
    """Return how many descriptors an app holds open after a few requests."""
    async with open_client(app) as client:
        for _ in range(3):
            assert (await client.get("/file")).body == EVERY_BYTE
        return open_descriptors() - before


async def test_directories_are_held_open_only_within_the_lifetime(root: Path) -> None:
    app, before = files(root), open_descriptors()
    assert await held_after_requests(app, before) == 1
    assert open_descriptors() == before


async def test_nothing_is_held_open_without_a_lifetime(root: Path) -> None:
    app, before = files(root), open_descriptors()

    async def passing_on(exchange: Exchange) -> None:
        await app(exchange)

    assert await held_after_requests(passing_on, before) == 0


async def test_lifetime_can_be_entered_by_another_app(root: Path) -> None:
    before = open_descriptors()
    async with files(root) as app:
        # It serves the same if it is entered once more.
        assert await held_after_requests(app, before) == 1

        async def passing_on(exchange: Exchange) -> None:
            await app(exchange)

        assert await held_after_requests(passing_on, before) == 1
    assert open_descriptors() == before
    assert await held_after_requests(passing_on, before) == 0


async def test_cancelled_server_holds_nothing_open(root: Path) -> None:
    before = open_descriptors()
    with trio.CancelScope() as scope:
        async with open_client(files(root)) as client:
            for _ in range(3):
                await client.get("/file")
            scope.cancel()
            await trio.sleep_forever()
    assert open_descriptors() == before


async def test_one_app_is_served_several_times_at_once(root: Path) -> None:
    app, before = files(root), open_descriptors()
    async with open_client(app) as first:
        async with open_client(app) as second:
            for client in (first, second, first, second):
                assert (await client.get("/file")).body == EVERY_BYTE
            assert open_descriptors() == before + 2
        assert open_descriptors() == before + 1
        assert (await first.get("/file")).body == EVERY_BYTE
    assert open_descriptors() == before


def test_one_app_is_served_in_several_runs_at_once(root: Path) -> None:
    app, before = files(root), open_descriptors()

    async def serve_around(inner: Callable[[], None]) -> None:
        async with open_client(app) as client:
            for _ in range(2):
                assert (await client.get("/file")).body == EVERY_BYTE
            await trio.to_thread.run_sync(inner)
            assert (await client.get("/file")).body == EVERY_BYTE

    def run_nothing() -> None:
        pass

    def run_another() -> None:
        trio.run(serve_around, run_nothing)

    trio.run(serve_around, run_another)
    assert open_descriptors() == before


# Representation


async def test_media_type_depends_on_the_name(root: Path) -> None:
    (root / "page.html").write_bytes(b"<p>")
    async with open_client(files(root)) as client:
        answer = await client.get("/page.html")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        answer = await client.get("/file")
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_media_type_can_be_given(root: Path) -> None:
    (root / "page.html").write_bytes(b"<p>")
    async with open_client(files(root, media_type="application/octet-stream")) as client:
        answer = await client.get("/page.html")
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_compressible_file_is_compressed_for_clients_that_accept_it(root: Path) -> None:
    text = b"the same over and over\n" * 1000
    (root / "text.txt").write_bytes(text)
    (root / "short.txt").write_bytes(b"short")
    (root / "picture.png").write_bytes(text)
    gzip = [("Accept-Encoding", "gzip")]
    async with open_client(files(root)) as client:
        answer = await client.get("/text.txt", gzip)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.body == encoded(text, "gzip")
        assert (await client.get("/text.txt")).body == text
        for target in ("/short.txt", "/picture.png"):
            assert "Content-Encoding" not in (await client.get(target, gzip)).headers


@pytest.mark.parametrize(
    ("compress", "coding"), [(Compress.ALWAYS, "gzip"), (Compress.NEVER, None)]
)
async def test_compression_can_be_selected(
    root: Path, compress: Compress, coding: str | None
) -> None:
    (root / "text.txt").write_bytes(b"the same over and over\n" * 1000)
    async with open_client(files(root, compress=compress)) as client:
        for target in ("/text.txt", "/file"):
            answer = await client.get(target, [("Accept-Encoding", "gzip")])
            assert answer.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize("value", ["no-cache", "public, max-age=31536000, immutable"])
async def test_cache_control_can_be_given(root: Path, value: str) -> None:
    (root / "index.html").write_bytes(b"<p>")
    async with open_client(files(root, cache_control=value)) as client:
        for target in ("/file", "/"):
            assert (await client.get(target)).headers["Cache-Control"] == value
            tag = (await client.get(target)).headers["ETag"]
            answer = await client.get(target, [("If-None-Match", tag)])
            assert (answer.status, answer.headers["Cache-Control"]) == (304, value)
        assert "Cache-Control" not in (await client.get("/nothing")).headers
    async with open_client(files(root)) as client:
        assert "Cache-Control" not in (await client.get("/file")).headers


@pytest.mark.parametrize(
    ("name", "value"), [("cache_control", "a\nb"), ("media_type", "a\0"), ("charset", "a b")]
)
def test_invalid_field_value_raises_value_error(root: Path, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"^not "):
        files(root, **{name: value})  # type: ignore[arg-type]


async def test_responses_forbid_sniffing_of_types(root: Path) -> None:
    async with open_client(files(root)) as client:
        assert (await client.get("/file")).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/file", None),
        ("/file?downloads", None),
        ("/file?download", 'attachment; filename="file"'),
        ("/file?a=b&download=1", 'attachment; filename="file"'),
        ("/%C3%A9?download", "attachment; filename=\"_\"; filename*=UTF-8''%C3%A9"),
        ("/folder/?download", 'attachment; filename="index.html"'),
    ],
)
async def test_download_query_sends_the_file_as_an_attachment(
    root: Path, target: str, expected: str | None
) -> None:
    (root / "é").touch()
    (root / "folder").mkdir()
    (root / "folder" / "index.html").touch()
    async with open_client(files(root)) as client:
        answer = await client.get(target)
        assert (answer.status, answer.headers.get("Content-Disposition")) == (200, expected)


# Validators


async def test_file_has_validators(root: Path) -> None:
    os.utime(root / "file", ns=(0, 784111777_123456789))
    status = (root / "file").stat()
    async with open_client(files(root)) as client:
        answer = await client.get("/file")
        tag = f'"{784111777_123456789:x}-100-{status.st_ino:x}-{status.st_ctime_ns:x}"'
        assert answer.headers["ETag"] == tag
        assert answer.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"


async def test_file_whose_time_was_set_back_has_another_tag(root: Path) -> None:
    async with open_client(files(root)) as client:
        tag = (await client.get("/file")).headers["ETag"]
        status = (root / "file").stat()
        while (root / "file").stat().st_ctime_ns == status.st_ctime_ns:
            (root / "file").write_bytes(EVERY_BYTE[::-1])
            os.utime(root / "file", ns=(status.st_atime_ns, status.st_mtime_ns))
        fields = [("Range", "bytes=200-"), ("If-Range", tag)]
        for _ in range(3):  # from the disk, and from memory
            answer = await client.get("/file", [("If-None-Match", tag)])
            assert (answer.status, answer.body) == (200, EVERY_BYTE[::-1])
            assert (await client.get("/file", fields)).status == 200


async def test_file_from_the_future_is_not_dated_later_than_the_response(root: Path) -> None:
    os.utime(root / "file", (0, 4_000_000_000))
    async with open_client(files(root)) as client:
        headers = (await client.get("/file")).headers
    modified, date = (parse_date(headers[name], 0) for name in ("Last-Modified", "Date"))
    assert modified is not None
    assert date is not None
    assert modified <= date  # RFC 9110 8.8.2.1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_file_that_a_client_has_gets_304(root: Path, method: str) -> None:
    async with open_client(files(root)) as client:
        headers = (await client.get("/file")).headers
        for field in (
            ("If-None-Match", headers["ETag"]),
            ("If-Modified-Since", headers["Last-Modified"]),
        ):
            answer = await client.request(method, "/file", [field])
            assert (answer.status, answer.body) == (304, b"")
            assert answer.headers["ETag"] == headers["ETag"]
        assert (await client.get("/file", [("If-Match", '"another"')])).status == 412


async def test_ranges_of_a_file_are_sent(root: Path) -> None:
    async with open_client(files(root)) as client:
        answer = await client.get("/file", [("Range", "bytes=10-19")])
        assert (answer.status, answer.body) == (206, EVERY_BYTE[10:20])
        assert answer.headers["Content-Range"] == "bytes 10-19/256"
        fields = [("Range", "bytes=-6"), ("If-Range", answer.headers["ETag"])]
        assert (await client.get("/file", fields)).body == EVERY_BYTE[-6:]
        (root / "file").write_bytes(b"another")
        assert (await client.get("/file", fields)).body == b"another"


# Siblings

PAGE = b"<p>the same over and over\n" * 100
PICTURE = bytes(1000)


@pytest.fixture
def family(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page and a picture with siblings, all as if made long ago."""
    monkeypatch.setattr(precompressed_siblings, "SETTLED", -1)
    for name, data in {"page.html": PAGE, "picture.png": PICTURE}.items():
        (root / name).write_bytes(data)
        (root / f"{name}.gz").write_bytes(gzip.compress(data, 9))
    (root / "page.html.br").write_bytes(encoded(PAGE, "br"))
    return root


def precompressed(root: Path) -> App:
    return files(root, allow=Permissions.PRECOMPRESSED)


async def test_precompressed_sibling_is_sent_to_clients_that_accept_it(family: Path) -> None:
    async with open_client(precompressed(family)) as client:
        plain = await client.get("/page.html")
        coded = {
            coding: await client.get("/page.html", [("Accept-Encoding", coding)])
            for coding in ("gzip", "br")
        }
    assert plain.body == PAGE
    assert coded["gzip"].body == (family / "page.html.gz").read_bytes()
    assert coded["br"].body == (family / "page.html.br").read_bytes()
    for coding, answer in coded.items():
        assert answer.headers["Content-Encoding"] == coding
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    answers = [plain, *coded.values()]
    assert {answer.headers["Vary"] for answer in answers} == {"Accept-Encoding"}
    assert len({answer.headers["ETag"] for answer in answers}) == 3


async def test_file_with_siblings_has_vary(family: Path) -> None:
    async with open_client(precompressed(family)) as client:
        answer = await client.get("/picture.png")
        assert answer.headers["Vary"] == "Accept-Encoding"
        tag = ("If-None-Match", answer.headers["ETag"])
        answer = await client.get("/picture.png", [tag])
        assert (answer.status, answer.headers["Vary"]) == (304, "Accept-Encoding")
    (family / "picture.png.gz").unlink()
    async with open_client(precompressed(family)) as client:
        assert "Vary" not in (await client.get("/picture.png")).headers


@pytest.mark.parametrize(
    "allow",
    [Permissions(0), Permissions.WRITING, ~(Permissions.PRECOMPRESSED | Permissions.WRITING)],
)
async def test_siblings_are_ignored_unless_allowed(family: Path, allow: Permissions) -> None:
    async with open_client(files(family, allow=allow)) as client:
        for _ in range(2):
            answer = await client.get("/picture.png", [("Accept-Encoding", "gzip")])
            assert answer.body == PICTURE
            assert "Content-Encoding" not in answer.headers
            assert "Vary" not in answer.headers


def test_siblings_and_writing_together_raise_value_error(root: Path) -> None:
    with pytest.raises(ValueError, match="that clients can write to"):
        files(root, allow=Permissions.PRECOMPRESSED | Permissions.WRITING)


@pytest.mark.parametrize(
    "content",
    [b"", gzip.compress(PICTURE)[:-1], gzip.compress(b"another"), b"no gzip at all"],
    ids=["empty", "too short", "another", "something else"],
)
async def test_sibling_with_other_content_is_ignored(family: Path, content: bytes) -> None:
    (family / "picture.png.gz").write_bytes(content)
    async with open_client(precompressed(family)) as client:
        for _ in range(3):
            answer = await client.get("/picture.png", [("Accept-Encoding", "gzip")])
            assert answer.body == PICTURE
            assert "Content-Encoding" not in answer.headers
        # It can still be requested by its own name.
        assert (await client.get("/picture.png.gz")).body == content


async def test_sibling_that_is_being_written_is_ignored(
    family: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompressed_siblings, "SETTLED", 3600 * 10**9)
    os.utime(family / "picture.png.gz", (1, 1))
    async with open_client(precompressed(family)) as client:
        for _ in range(3):
            answer = await client.get("/picture.png", [("Accept-Encoding", "gzip")])
            assert answer.body == PICTURE


async def test_changed_sibling_is_not_sent_before_it_was_decoded(family: Path) -> None:
    gzip_field = [("Accept-Encoding", "gzip")]
    async with open_client(precompressed(family)) as client:
        for _ in range(2):
            answer = await client.get("/picture.png", gzip_field)
            assert answer.headers["Content-Encoding"] == "gzip"
        (family / "picture.png.gz").write_bytes(b"half of it")
        for _ in range(2):
            answer = await client.get("/picture.png", gzip_field)
            assert (answer.body, "Content-Encoding" in answer.headers) == (PICTURE, False)
        (family / "picture.png").write_bytes(b"another picture")
        for _ in range(2):
            answer = await client.get("/picture.png", gzip_field)
            assert (answer.body, "Content-Encoding" in answer.headers) == (
                b"another picture",
                False,
            )


@pytest.mark.parametrize("compress", Compress)
async def test_ranges_are_taken_from_the_file_itself(family: Path, compress: Compress) -> None:
    coded = (family / "picture.png.gz").read_bytes()
    accepting = ("Accept-Encoding", "gzip")
    app = files(family, compress=compress, allow=Permissions.PRECOMPRESSED)
    async with open_client(app) as client:
        tags = {
            coding: (await client.get("/picture.png", [("Accept-Encoding", coding)])).headers[
                "ETag"
            ]
            for coding in ("identity", "gzip")
        }
        # An interrupted download is resumed even by a client that accepts codings.
        assert len(coded) < 900
        for fields in ([], [("If-Range", tags["identity"])]):
            answer = await client.get("/picture.png", [accepting, ("Range", "bytes=900-"), *fields])
            assert (answer.status, answer.body) == (206, PICTURE[900:])
            assert answer.headers["Content-Range"] == "bytes 900-999/1000"
            assert answer.headers["ETag"] == tags["identity"]
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert "Content-Encoding" not in answer.headers
        fields = [accepting, ("Range", "bytes=3-"), ("If-Range", tags["gzip"])]
        answer = await client.get("/picture.png", fields)
        assert (answer.status, answer.body) == (206, coded[3:])
        assert answer.headers["Content-Range"] == f"bytes 3-{len(coded) - 1}/{len(coded)}"
        assert answer.headers["ETag"] == tags["gzip"]
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["Content-Encoding"] == "gzip"
        tag = ("If-None-Match", tags["gzip"])
        assert (await client.get("/picture.png", [accepting, tag])).status == 304
        assert (await client.get("/picture.png", [tag])).status == 200


async def test_index_has_siblings_too(family: Path) -> None:
    for suffix in ("", ".gz"):
        (family / f"page.html{suffix}").rename(family / f"index.html{suffix}")
    async with open_client(precompressed(family)) as client:
        answer = await client.get("/", [("Accept-Encoding", "gzip")])
        assert answer.body == (family / "index.html.gz").read_bytes()


async def test_sibling_can_be_requested_by_its_own_name(family: Path) -> None:
    async with open_client(precompressed(family)) as client:
        answer = await client.get("/page.html.gz", [("Accept-Encoding", "gzip")])
        assert answer.headers["Content-Type"] == "application/gzip"
        assert "Content-Encoding" not in answer.headers
        (family / "page.html").unlink()
        assert (await client.get("/page.html", [("Accept-Encoding", "gzip")])).status == 404


@pytest.mark.parametrize("compress", Compress)
async def test_siblings_are_sent_with_every_choice_of_compression(
    family: Path, compress: Compress
) -> None:
    app = files(family, compress=compress, allow=Permissions.PRECOMPRESSED)
    async with open_client(app) as client:
        answer = await client.get("/page.html", [("Accept-Encoding", "br")])
        assert answer.body == (family / "page.html.br").read_bytes()


# Files in a coding, and charsets of texts

DRAWING = gzip.compress(b"<svg/>" * 100)


async def test_svgz_is_shown_or_saved(root: Path) -> None:
    (root / "a.svgz").write_bytes(DRAWING)
    async with open_client(files(root)) as client:
        for _ in range(3):
            answer = await client.get("/a.svgz", [("Accept-Encoding", "gzip, br")])
            assert answer.body == DRAWING
            assert answer.headers["Content-Type"] == "image/svg+xml"
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"] == "Accept-Encoding"
            other = await client.get("/a.svgz", [("Accept-Encoding", "identity")])
            assert other.body == DRAWING
            assert other.headers["Content-Type"] == "application/gzip"
            assert "Content-Encoding" not in other.headers
            assert other.headers["Vary"] == "Accept-Encoding"
            assert other.headers["ETag"] != answer.headers["ETag"]
            saved = await client.get("/a.svgz?download", [("Accept-Encoding", "gzip")])
            assert saved.body == DRAWING
            assert "Content-Encoding" not in saved.headers
        part = await client.get("/a.svgz", [("Accept-Encoding", "gzip"), ("Range", "bytes=5-")])
        assert (part.status, part.body) == (206, DRAWING[5:])
        assert part.headers["Content-Encoding"] == "gzip"


async def test_svgz_has_no_siblings(family: Path) -> None:
    (family / "a.svgz").write_bytes(DRAWING)
    (family / "a.svgz.gz").write_bytes(gzip.compress(DRAWING))
    async with open_client(precompressed(family)) as client:
        answer = await client.get("/a.svgz", [("Accept-Encoding", "gzip")])
        assert (answer.body, answer.headers["Content-Encoding"]) == (DRAWING, "gzip")


async def test_charset_of_a_text_is_sent_if_known(root: Path) -> None:
    (root / "utf8.html").write_bytes("<p>é".encode())
    (root / "latin.html").write_bytes(b'<meta charset="windows-1252"><p>\xe9')
    expected = {
        None: ["text/html; charset=utf-8", "text/html"],
        "windows-1252": ["text/html; charset=windows-1252"] * 2,
        "none": ["text/html"] * 2,
    }
    for charset, types in expected.items():
        async with open_client(files(root, charset=charset)) as client:
            for _ in range(3):
                answers = [await client.get(f"/{name}.html") for name in ("utf8", "latin")]
                assert [answer.headers["Content-Type"] for answer in answers] == types


# Files whose status has a wrong length

LIMITS = Path("/proc/self/limits")
needs_proc = pytest.mark.skipif(not LIMITS.exists(), reason="this system has no such files")


def limits() -> bytes:
    return LIMITS.read_bytes()


@needs_proc
@pytest.mark.parametrize(
    "types", [mounts.LOCAL_TYPES, mounts.LOCAL_TYPES | {"proc"}], ids=["as it is", "local"]
)
async def test_virtual_file_is_sent_complete(
    monkeypatch: pytest.MonkeyPatch, types: frozenset[str]
) -> None:
    monkeypatch.setattr(mounts, "LOCAL_TYPES", types)
    async with open_client(files("/proc/self")) as client:
        for _ in range(3):
            answer = await client.get("/limits")
            assert answer.body == limits()
            assert answer.headers["Content-Length"] == str(len(answer.body))
            assert "ETag" not in answer.headers
            assert "Last-Modified" not in answer.headers
            fields = [("Range", "bytes=0-9"), ("Want-Repr-Digest", "sha-256=1")]
            part = await client.get("/limits", fields)
            assert (part.status, part.body) == (200, answer.body)
            assert "Repr-Digest" not in part.headers  # the digest would be that of another reading
            head = await client.request("HEAD", "/limits")
            assert (head.status, head.body) == (200, b"")
        assert (await client.get("/sched/")).status == 404


@needs_proc
async def test_long_virtual_file_is_sent_in_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(virtual_files, "READ", 100)
    async with open_client(files("/proc/self")) as client:
        answer = await client.get("/limits")
        assert answer.body == limits()
        assert answer.headers["Transfer-Encoding"] == "chunked"


@needs_proc
async def test_unreadable_virtual_file_gets_503() -> None:
    before = open_descriptors()
    async with open_client(files("/proc/self")) as client:
        assert (await client.get("/mem")).status == 503  # reading its first page fails
        assert (await client.get("/limits")).status == 200
    while open_descriptors() > before:  # a thread closes them
        await trio.testing.wait_all_tasks_blocked(0.001)


# Digests (RFC 9530)


def digest_of(data: bytes, algorithm: str = "sha-256") -> str:
    return str(Digest(algorithm, hashlib.new(algorithm.replace("-", ""), data).digest()))


@pytest.mark.parametrize(
    ("wanted", "algorithm"),
    [("sha-256=1", "sha-256"), ("sha-256=1, sha-512=9", "sha-512"), ("md5=9", None), ("?", None)],
)
async def test_digest_is_sent_if_wanted(root: Path, wanted: str, algorithm: str | None) -> None:
    expected = algorithm and digest_of(EVERY_BYTE, algorithm)
    async with open_client(files(root)) as client:
        for method in ("GET", "HEAD"):
            answer = await client.request(method, "/file", [("Want-Repr-Digest", wanted)])
            assert answer.headers.get("Repr-Digest") == expected
        assert "Repr-Digest" not in (await client.get("/file")).headers


async def test_digest_of_a_range_is_that_of_the_whole_file(root: Path) -> None:
    fields = [("Want-Repr-Digest", "sha-256=1"), ("Range", "bytes=0-0")]
    async with open_client(files(root)) as client:
        answer = await client.get("/file", fields)
        assert (answer.status, answer.body) == (206, b"\0")
        assert answer.headers["Repr-Digest"] == digest_of(EVERY_BYTE)  # RFC 9530 3


async def test_digest_covers_the_bytes_that_are_sent(family: Path) -> None:
    text = b"the same over and over\n" * 1000
    (family / "text.txt").write_bytes(text)
    wanted = ("Want-Repr-Digest", "sha-256=1")
    async with open_client(precompressed(family)) as client:
        # That of a sibling, if the sibling is chosen.
        answer = await client.get("/page.html", [wanted, ("Accept-Encoding", "gzip")])
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Repr-Digest"] == digest_of(answer.body)
        # A response that would be compressed on its way is sent as it is,
        answer = await client.get("/text.txt", [wanted, ("Accept-Encoding", "gzip")])
        assert answer.body == text
        assert answer.headers["Repr-Digest"] == digest_of(text)
        assert answer.headers["Vary"] == "Accept-Encoding"
        # but not to clients that refuse that: they get no digest.
        answer = await client.get("/text.txt", [wanted, ("Accept-Encoding", "gzip, identity;q=0")])
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "Repr-Digest" not in answer.headers
    # A response that is never compressed does not vary.
    (family / "picture.png.gz").unlink()
    async with open_client(precompressed(family)) as client:
        answer = await client.get("/picture.png", [wanted, ("Accept-Encoding", "gzip")])
        assert answer.headers["Repr-Digest"] == digest_of(answer.body)
        assert "Vary" not in answer.headers


async def test_file_that_changes_during_its_digest_is_sent_without(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_change(descriptor: int, offset: int, size: int) -> bytes:
        data = read_slice(descriptor, offset, size)
        os.utime(root / "file", (1, 1))
        return data

    monkeypatch.setattr(file_digests, "read_slice", read_and_change)
    async with open_client(files(root)) as client:
        answer = await client.get("/file", [("Want-Repr-Digest", "sha-256=1")])
        assert (answer.status, answer.body) == (200, EVERY_BYTE)
        assert "Repr-Digest" not in answer.headers


# Caches


async def test_file_is_sent_as_it_is_at_that_moment(root: Path, way: str) -> None:
    async with open_client(files(root)) as client:
        tags = []
        for content in (b"first", b"second", b"third"):
            (root / "new").write_bytes(content)
            (root / "new").replace(root / "file")
            answer = await client.get("/file")
            assert answer.body == content
            tags.append(answer.headers["ETag"])
        with (root / "file").open("ab") as file:
            file.write(b" and last")
        answer = await client.get("/file")
        assert answer.body == b"third and last"
        assert answer.headers["ETag"] not in tags
        (root / "file").unlink()
        assert (await client.get("/file")).status == 404
        (root / "file").mkdir()
        (root / "file" / "index.html").write_bytes(b"page")
        assert (await client.get("/file")).status == 301
        assert (await client.get("/file/")).body == b"page"


@pytest.mark.parametrize("becomes", ["link", "fifo", "nothing"])
async def test_replacement_of_a_remembered_file_is_checked_again(
    root: Path, way: str, becomes: str
) -> None:
    (root / "page.gz").touch()
    for name in ("file", "page"):
        path = root / name
        path.write_bytes(b"")
        async with open_client(files(root)) as client:
            for _ in range(2):
                assert (await client.get(f"/{name}")).status == 200
            path.unlink()
            match becomes:
                case "link":
                    path.symlink_to(root.parent / "secret")
                case "fifo":
                    os.mkfifo(path)
            for _ in range(2):
                assert (await client.get(f"/{name}")).status == 404


async def test_repeated_lookup_finds_the_same(family: Path, way: str) -> None:
    (family / "a" / "b").mkdir(parents=True)
    (family / "a" / "b" / "c").write_bytes(b"deep")
    (family / "a" / "index.html").write_bytes(b"index")
    targets = ["/page.html", "/picture.png", "/file", "/file?download", "/a/b/c", "/a/"]
    gzip = [("Accept-Encoding", "gzip")]
    async with open_client(precompressed(family)) as client:
        for target in targets:
            for fields in ([], gzip):
                first, *others = [await client.get(target, fields) for _ in range(3)]
                for other in others:
                    assert other.body == first.body
                    assert other.headers["ETag"] == first.headers["ETag"]
                    assert other.headers["Content-Type"] == first.headers["Content-Type"]
                    assert other.headers.get("Content-Encoding") == first.headers.get(
                        "Content-Encoding"
                    )


@pytest.mark.parametrize("size", [10, 100_000])
async def test_file_requested_again_is_sent_from_the_cache(
    root: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(versions, "SETTLED", -1)
    (root / "file").write_bytes(b"x" * size)
    async with open_client(files(root)) as client:
        answers = [await client.get("/file") for _ in range(5)]
        assert {answer.body for answer in answers} == {b"x" * size}
        assert len({str(answer.headers.without("Date").raw) for answer in answers}) == 1
        (root / "file").write_bytes(b"y" * size)
        assert (await client.get("/file")).body == b"y" * size


async def test_mount_with_and_without_its_slash_are_cached_separately(root: Path) -> None:
    (root / "index.html").write_bytes(b"index")
    app = Router()
    app.mount("/in/here", files(root))
    async with open_client(app) as client:
        for _ in range(2):
            assert (await client.get("/in/here/")).body == b"index"
            assert (await client.get("/in/here")).status == 301


async def test_more_directories_than_can_stay_open_are_served(root: Path) -> None:
    names = [str(number) for number in range(MOST + 3)]
    for name in names:
        (root / name).mkdir()
        (root / name / "file").write_text(name)
    async with open_client(files(root)) as client:
        for _ in range(3):
            for name in names:
                assert (await client.get(f"/{name}/file")).body == name.encode()


class Gate:
    """An exchange that records the responses of an App before they are finished."""

    def __init__(self, exchange: Exchange, seen: list[Response]) -> None:
        self.request = exchange.request
        self._exchange = exchange
        self._seen = seen

    async def respond(self, response: Response) -> None:
        self._seen.append(response)
        await self._exchange.respond(response)


async def test_fields_are_the_same_object_until_the_file_changes(root: Path) -> None:
    # Later steps cache their results by the identity of the fields.
    app = files(root)
    seen: list[Response] = []

    async def watched(exchange: Exchange) -> None:
        await app(Gate(exchange, seen))  # type: ignore[arg-type]

    async with open_client(watched) as client:
        for _ in range(3):
            await client.get("/file")
        os.utime(root / "file", (1, 1))
        await client.get("/file")
    first, second, third, fourth = [response.headers for response in seen]
    assert first is second is third
    assert fourth is not first


# A slow disk


@asynccontextmanager
async def no_thread_to_spare(*purposes: Threads) -> AsyncIterator[None]:
    """Occupy all threads of these purposes, as if each was waiting for a disk."""
    limiters = [purpose.limiter for purpose in purposes]
    borrowed = [
        (limiter, object()) for limiter in limiters for _ in range(int(limiter.total_tokens))
    ]
    for limiter, borrower in borrowed:
        await limiter.acquire_on_behalf_of(borrower)
    try:
        yield
    finally:
        for limiter, borrower in borrowed:
            limiter.release_on_behalf_of(borrower)


def waiting_for(*purposes: Threads) -> int:
    return sum([purpose.limiter.statistics().tasks_waiting for purpose in purposes])


@pytest.mark.skipif(not page_cache.CAN_TELL_CACHED, reason="this system does not tell")
def test_file_dropped_from_the_page_cache_is_not_in_memory(root: Path) -> None:
    path = root / "cold"
    for _ in range(100):  # a fast disk may have cached it again by the time of the check
        path.write_bytes(EVERY_BYTE)
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if page_cache.read_cached(FileSlice(file.fileno(), 0, len(EVERY_BYTE))) is None:
                return
    pytest.skip("this file system is in memory itself")


@pytest.mark.skipif(not page_cache.CAN_TELL_CACHED, reason="this system does not tell")
@pytest.mark.parametrize("size", [1000, 300_000])
@pytest.mark.parametrize("looked_up", ["never", "before"])
async def test_slow_disk_delays_no_other_client(
    root: Path, monkeypatch: pytest.MonkeyPatch, size: int, looked_up: str
) -> None:
    monkeypatch.setattr(expiring, "SECONDS", 1000)
    for name in ("cold", "warm"):
        (root / name).write_bytes(bytes(size))
    app = files(root)
    async with open_socket_client(app) as slow, open_socket_client(app) as quick:
        await quick.get("/warm")
        if looked_up == "before":
            await slow.get("/cold")
        async with trio.open_nursery() as nursery:
            answered = trio.Event()

            async def wait_for_the_disk() -> None:
                assert (await slow.get("/cold")).body == bytes(size)
                answered.set()

            assert isinstance(app, FilesApp)
            purposes = app._root.lookups, page_cache.READS
            async with no_thread_to_spare(*purposes):
                with monkeypatch.context() as patch:
                    patch.setattr(page_cache, "CAN_TELL_CACHED", False)  # as if it were not cached
                    nursery.start_soon(wait_for_the_disk)
                    await trio.testing.wait_all_tasks_blocked()
                assert waiting_for(*purposes) == 1
                # A cached file needs neither the disk nor a thread.
                with trio.fail_after(30):  # otherwise it would wait for ever
                    for _ in range(3):
                        assert (await quick.get("/warm")).body == bytes(size)
                assert not answered.is_set()
            await answered.wait()


@pytest.mark.parametrize("why", ["mount", "pace"])
async def test_remote_files_are_always_looked_up_in_threads(
    root: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    if why == "mount":  # as if it were on another machine
        monkeypatch.setattr(mounts, "MOUNTINFO", root / "mountinfo")
        (root / "mountinfo").touch()
    else:
        monkeypatch.setattr(lookup_pace, "SLOW", -1)
    app = files(root)
    assert isinstance(app, FilesApp)
    lookups = app._root.lookups
    before = open_descriptors()
    async with open_client(app) as client:
        for _ in range(2):
            assert (await client.get("/file")).body == EVERY_BYTE
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert (await client.get("/file")).body == EVERY_BYTE

            async with no_thread_to_spare(lookups):
                nursery.start_soon(ask)
                await trio.testing.wait_all_tasks_blocked()
                assert waiting_for(lookups) == 1
    while why == "mount" and open_descriptors() > before:  # a thread closes them, too
        await trio.testing.wait_all_tasks_blocked(0.001)


async def test_file_system_that_does_not_respond_gets_503(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.01)
    app = files(root, allow=~Permissions.PRECOMPRESSED)
    assert isinstance(app, FilesApp)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n1\r\n--b--'
    fields = [("Content-Type", "multipart/form-data; boundary=b")]
    async with open_client(app) as client:
        async with no_thread_to_spare(app._root.lookups):
            assert (await client.get("/file")).status == 503
            assert (await client.request("POST", "/", fields, form)).status == 503
            # Changes use other threads.
            assert (await client.request("PUT", "/new", body=b"x")).status == 201
        async with no_thread_to_spare(app._root.changes):
            assert (await client.request("PUT", "/newer", body=b"x")).status == 503
            assert (await client.request("DELETE", "/new")).status == 503
            assert (await client.get("/new")).body == b"x"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file of Linux's own")
async def test_unreadable_file_aborts_its_connection_and_is_reported() -> None:
    # Its first page cannot be read, which is only found out by reading.
    events: list[ServerEvent] = []

    async def app(exchange: Exchange) -> None:
        with Path("/proc/self/mem").open("rb") as file:  # noqa: ASYNC230 - nothing waits for it
            await exchange.respond(Response(200, body=FileSlice(file.fileno(), 0, 100_000)))

    near, far = trio.socket.socketpair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_stream, app, trio.SocketStream(far), report=events.append))
        async with trio.SocketStream(near) as connection:
            client = Client(connection)
            await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (await client.rest()).endswith(b"\r\n\r\n")
    (record,) = [event for event in events if isinstance(event, Record)]
    assert (record.status, record.ending) == (200, Ending.ABORTED)
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert isinstance(failure.error, OSError)


async def test_directory_that_stays_locked_gets_503(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PATIENCE", 0.01)
    async with open_client(files(root, allow=Permissions.WRITING)) as client:
        descriptor = os.open(root, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for method in ("PUT", "DELETE"):
            answer = await client.request(method, "/file", body=b"x")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert (await client.get("/file")).body == EVERY_BYTE
        os.close(descriptor)
        assert (await client.request("DELETE", "/file")).status == 204


# Leases: another program caches changes of a file, and writes them back on request


@contextmanager
def leased(path: Path, asked: Callable[[int], None]) -> Iterator[None]:
    """Hold a lease, as Samba does for clients; ``asked`` is called when it must be released."""
    if not hasattr(fcntl, "F_SETLEASE"):
        pytest.skip("no leases on this system")
    descriptor = os.open(path, os.O_RDWR)
    before = signal.signal(signal.SIGIO, lambda *_: asked(descriptor))
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("looked_up", ["never", "before"])
async def test_lease_is_released_for_a_requested_file(root: Path, looked_up: str) -> None:
    asked = []

    def give_back(descriptor: int) -> None:
        os.write(descriptor, b"by Samba")
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        asked.append(descriptor)

    async with open_client(files(root)) as client:
        if looked_up == "before":
            await client.get("/file")
        with leased(root / "file", give_back):
            answer = await client.get("/file")
            assert answer.body == b"by Samba" + EVERY_BYTE[8:]
        assert len(asked) == 1


async def test_lease_that_is_kept_gets_503(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PATIENCE", 0.01)
    asked: list[int] = []
    app = files(root)
    assert isinstance(app, FilesApp)
    async with open_client(app) as client:
        with leased(root / "file", asked.append):
            answer = await client.get("/file")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert app._root.lookups.limiter.borrowed_tokens == 0
        assert len(asked) == 1
        assert (await client.get("/file")).body == EVERY_BYTE


# Directories


@pytest.mark.parametrize("allow", [Permissions(0), ~Permissions.PRECOMPRESSED])
async def test_directory_with_an_index_gets_the_index(
    root: Path, way: str, allow: Permissions
) -> None:
    for directory in (root, root / "a b"):
        directory.mkdir(exist_ok=True)
        (directory / "index.html").write_text(f"<p>{directory.name}")
    async with open_client(files(root, allow=allow)) as client:
        for target, name in {"/": b"root", "/a%20b/": b"a b", "/a%20b/?c": b"a b"}.items():
            answer = await client.get(target)
            assert (answer.status, answer.body) == (200, b"<p>" + name)
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "ETag" in answer.headers
        answer = await client.get("/a%20b?c=d")
        assert (answer.status, answer.headers["Location"]) == (301, "./a%20b/?c=d")


async def test_directory_without_an_index_gets_404_unless_listed(root: Path, way: str) -> None:
    (root / "folder").mkdir()
    for target in ("/", "/folder/", "/folder"):
        async with open_client(
            files(root, allow=~(Permissions.LISTING | Permissions.PRECOMPRESSED))
        ) as client:
            assert (await client.get(target)).status == 404
    async with open_client(files(root, allow=Permissions.LISTING)) as client:
        for target in ("/", "/folder/"):
            assert (await client.get(target)).status == 200
            assert (await client.request("HEAD", target)).status == 200
        answer = await client.get("/folder")
        assert (answer.status, answer.headers["Location"]) == (301, "./folder/")
        for target in ("/nothing", "/nothing/", "/file/", "/.hidden/", "/link-up/", "//"):
            assert (await client.get(target)).status == 404


async def test_listing_is_a_page_or_json(root: Path) -> None:
    (root / "folder").mkdir()
    async with open_client(files(root, allow=Permissions.LISTING)) as client:
        page = await client.get("/folder/", [("Accept", "text/html,*/*;q=0.8")])
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Content-Security-Policy"] == policy(Uploads.OFF)
        assert b"<bdi>folder</bdi>" in page.body
        answer = await client.get("/", [("Accept", "application/json")])
        assert answer.headers["Content-Type"] == "application/json"
        assert {"folder", "file"} == {entry["name"] for entry in loads(answer.body)["entries"]}
        for listing in (page, answer):
            assert "Accept" in listing.headers["Vary"].split(", ")


async def test_unchanged_listing_gets_304(root: Path) -> None:
    async with open_client(files(root, allow=Permissions.LISTING)) as client:
        tag = ("If-None-Match", (await client.get("/")).headers["ETag"])
        assert (await client.get("/", [tag])).status == 304
        (root / "new").touch()
        assert (await client.get("/", [tag])).status == 200


async def test_mount_without_its_slash_is_redirected(root: Path) -> None:
    app = Router()
    app.mount("/in/here", files(root, allow=Permissions.LISTING | Permissions.WRITING))
    async with open_client(app) as client:
        for target in ("/in/here?a=b", "http://test/in/here?a=b"):
            answer = await client.get(target)
            assert (answer.status, answer.headers["Location"]) == (301, "./here/?a=b")
        assert (await client.get("/in/here/")).status == 200
        for method in ("PUT", "DELETE"):
            assert (await client.request(method, "/in/here", body=b"x")).status == 404
        assert (await client.request("POST", "/in/here", body=b"x")).status == 405


async def test_absolute_target_without_a_path_gets_the_root(root: Path) -> None:
    async with open_client(files(root, allow=Permissions.LISTING)) as client:
        assert (await client.get("http://test")).status == 200


async def test_directory_that_may_not_be_read_is_not_listed(public: Path) -> None:
    (public / "folder" / "deep").mkdir(parents=True)
    (public / "folder" / "deep" / "file").write_bytes(b"deep")
    (public / "folder").chmod(0o311)
    with as_unprivileged_user():
        async with open_client(files(public, allow=Permissions.LISTING)) as client:
            for _ in range(3):
                assert (await client.get("/folder/deep/file")).body == b"deep"
            assert (await client.get("/folder/deep/")).status == 200
            assert (await client.get("/folder/")).status == 403
            assert (await client.get("/folder")).status == 301


async def test_hidden_file_is_served_if_allowed(root: Path) -> None:
    (root / ".hidden").mkdir()
    (root / ".hidden" / ".file").write_bytes(b"found")
    async with open_client(files(root, allow=Permissions.HIDDEN)) as client:
        assert (await client.get("/.hidden/.file")).body == b"found"


async def test_links_lead_anywhere_if_allowed(root: Path) -> None:
    async with open_client(files(root, allow=Permissions.LINKS | Permissions.LISTING)) as client:
        assert (await client.get("/link")).body == EVERY_BYTE
        assert (await client.get("/link-up/secret")).body == b"secret"
        assert (await client.get("/link-up")).headers["Location"] == "./link-up/"
        assert (await client.get("/link-up/")).status == 200


# Writable directories; test_write_methods has the details


async def test_page_of_a_writable_directory_has_a_form(root: Path) -> None:
    async with open_client(files(root, allow=Permissions.LISTING | Permissions.WRITING)) as client:
        answer = await client.get("/")
        assert answer.headers["Content-Security-Policy"] == policy(Uploads.ON)
        assert b'<form id="upload"' in answer.body
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n1\r\n--b--'
        fields = [("Content-Type", "multipart/form-data; boundary=b")]
        assert (await client.request("POST", "/", fields, form)).status == 303
        assert (await client.request("PUT", "/y", body=b"2")).status == 201
        assert (await client.request("PUT", "/folder/", body=b"2")).status == 409
        assert (await client.get("/x")).body == b"1"
        assert (await client.get("/y")).body == b"2"
        assert (await client.request("DELETE", "/y")).status == 204
        assert (await client.get("/y")).status == 404


async def test_server_that_may_write_removes_abandoned_parts(root: Path) -> None:
    (root / "below").mkdir()
    part = root / "below" / f"{PART_PREFIX}0123456789abcdef{PART_SUFFIX}"
    part.touch()
    async with open_client(files(root, allow=Permissions.WRITING)) as client:
        while part.exists():
            assert (await client.get("/file")).status == 200


async def test_server_that_only_reads_keeps_abandoned_parts(root: Path) -> None:
    part = root / f"{PART_PREFIX}0123456789abcdef{PART_SUFFIX}"
    part.touch()
    # The end of a lifetime waits for the threads that have begun.
    async with open_client(files(root, allow=~Permissions.WRITING)) as client:
        assert (await client.get("/file")).status == 200
    assert part.exists()


# Uploads that handlers of another app store


def archive(root: Path, *names: str, allow: Permissions = Permissions.WRITING) -> Router:
    """Return an app that stores request bodies under one name, and serves the file."""
    app, stored = Router(), files(root, allow=allow)
    app.mount("/files", stored, methods=["GET"])

    @app.post("/")
    async def post(request: Request) -> Response:
        kept = await stored.store(request, *names)
        return Response(201 if kept.is_new else 200, {"ETag": kept.etag})

    return app


def names_in(root: Path) -> list[str]:
    return sorted([path.name for path in root.iterdir()])


async def test_handler_stores_an_upload_and_gets_its_tag(root: Path) -> None:
    (root / "below").mkdir()
    async with open_client(archive(root, "below", "new")) as client:
        for status, body in [(201, b"first"), (200, b"second")]:
            answer = await client.request("POST", "/", body=body)
            assert answer.status == status
            sent = await client.get("/files/below/new")
            assert (sent.body, sent.headers["ETag"]) == (body, answer.headers["ETag"])


@pytest.mark.parametrize(
    ("names", "field", "status"),
    [
        (["file"], ("If-None-Match", "*"), 412),
        (["file"], ("Content-Digest", "sha-256=:AAAA:"), 400),
        (["file"], ("Content-Encoding", "gzip"), 415),
        (["nothing", "file"], ("X", "y"), 404),
        ([".hidden"], ("X", "y"), 404),
        (["..", "file"], ("X", "y"), 404),
        (["a/b"], ("X", "y"), 404),
        (["folder"], ("X", "y"), 409),
    ],
)
async def test_refused_upload_of_a_handler_changes_nothing(
    root: Path, names: list[str], field: tuple[str, str], status: int
) -> None:
    (root / "folder").mkdir()
    before = names_in(root)
    async with open_client(archive(root, *names)) as client:
        assert (await client.request("POST", "/", [field], b"data")).status == status
    assert names_in(root) == before
    assert (root / "file").read_bytes() == EVERY_BYTE


async def test_large_upload_of_a_handler_is_stored(root: Path) -> None:
    data = os.urandom(1024 * 1024)
    async with open_client(archive(root, "large")) as client:
        assert (await client.request("POST", "/", body=data)).status == 201
    assert (root / "large").read_bytes() == data


async def test_storing_without_permission_or_a_name_raises_an_error(root: Path) -> None:
    request = Request("POST", "/", "1.1", Headers(), NO_BODY)
    with pytest.raises(RuntimeError, match=r"allow=Permissions\.WRITING"):
        await files(root).store(request, "name")
    with pytest.raises(ValueError, match="needs a name"):
        await files(root, allow=Permissions.WRITING).store(request)
