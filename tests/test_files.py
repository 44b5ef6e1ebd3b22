"""Files over HTTP: their bytes, their types, and nothing that is not below the root."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from trio_http.apps import directory
from trio_http.apps.files import files, media_type_of_name
from trio_http.apps.routing import Router
from trio_http.http1.connection import serve_stream
from trio_http.http1.record import Ending, Event, Record
from trio_http.semantics.coding import encoded
from trio_http.semantics.messages import Compress
from trio_http.testing import Client, open_client

# Worker threads open and read the files, so none of these tests has a clock
# that jumps.

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder to be served, next to a file that is not."""
    (tmp_path / "secret").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(EVERY_BYTE)
    (root / "link").symlink_to("file")
    (root / "link-out").symlink_to(tmp_path / "secret")
    (root / "link-up").symlink_to(tmp_path)
    return root


@pytest.fixture(params=["descriptors", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to open what is in a folder, whatever this system offers."""
    monkeypatch.setattr(directory, "RELATIVE", request.param == "descriptors")
    return str(request.param)


@pytest.mark.parametrize("name", ["file", "a b", "é", "back\\slash", "%2e%2e", "q?x=y", "...", "~"])
@pytest.mark.parametrize("data", [b"", b"\0", EVERY_BYTE], ids=["empty", "NUL", "every byte"])
async def test_a_file_is_sent_byte_for_byte(root: Path, name: str, data: bytes) -> None:
    (root / name).write_bytes(data)
    async with open_client(files(root)) as client:
        answer = await client.get("/" + quote(name, safe=""))
        assert (answer.status, answer.reason, answer.body) == (200, "OK", data)
        assert answer.headers["Content-Length"] == str(len(data))


async def test_a_file_whose_name_is_no_text_is_sent(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    async with open_client(files(root)) as client:
        assert (await client.get("/caf%E9")).body == b"latin"


async def test_folders_nest(root: Path, way: str) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").write_bytes(b"deep")
    async with open_client(files(root)) as client:
        assert (await client.get("/a/b/c")).body == b"deep"
        assert (await client.get("/%61/b/c?d")).body == b"deep"
        assert (await client.get("http://test/a/b/c")).body == b"deep"


async def test_the_root_may_be_given_as_a_text(root: Path) -> None:
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
        "/./file",
        "/../secret",
        "/../root/file",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/..%2fsecret",
        "/..%2Fsecret",
        "/%2e%2e%2fsecret",
        "/..%5csecret",
        r"/..\secret",
        "/%252e%252e/secret",  # escaped twice is decoded once
        "/..;/secret",
        "/..%00/secret",
        "/%c0%ae%c0%ae/secret",  # dots in no UTF-8 that anybody may read (RFC 3629 10)
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
    ],
    ids=lambda target: target[:30],
)
async def test_there_is_no_way_out(root: Path, way: str, target: str) -> None:
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


async def test_head_tells_all_but_the_body(root: Path) -> None:
    async with open_client(files(root)) as client:
        head = await client.request("HEAD", "/file")
        get = await client.get("/file")
        assert (head.status, head.body, get.body) == (200, b"", EVERY_BYTE)
        for name in ("Content-Length", "Content-Type"):
            assert head.headers[name] == get.headers[name]
        assert (await client.request("HEAD", "/nothing")).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get"])
async def test_files_are_only_read(root: Path, method: str) -> None:
    async with open_client(files(root)) as client:
        answer = await client.request(method, "/file", body=b"x")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (root / "file").read_bytes() == EVERY_BYTE


async def test_files_can_be_mounted(root: Path) -> None:
    app = Router()
    app.mount("/in/here", files(root))
    async with open_client(app) as client:
        assert (await client.get("/in/here/file")).body == EVERY_BYTE
        for target in ("/in/here", "/in/here/", "/in/here/../secret", "/in/here//file"):
            assert (await client.get(target)).status == 404


async def test_a_large_file_goes_through_a_real_socket_whole(root: Path) -> None:
    # More than the kernel takes at once, in pieces that all differ.
    data = b"".join([number.to_bytes(4, "big") for number in range(1_000_000)])
    (root / "large").write_bytes(data)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.SocketStream) -> None:
            await serve_stream(files(root), stream)

        nursery.start_soon(trio.serve_listeners, serve, [listener])
        host, port = listener.socket.getsockname()
        async with await trio.open_tcp_stream(host, port) as stream:
            client = Client(stream)
            answer = await client.get("/large")
            assert answer.headers["Content-Length"] == str(len(data))
            assert answer.body == data
            assert (await client.get("/file")).body == EVERY_BYTE
        nursery.cancel_scope.cancel()


async def test_an_answer_breaks_off_when_its_file_becomes_shorter(root: Path) -> None:
    # The length has been promised, and there are no bytes to keep the promise with.
    path = root / "large"
    path.write_bytes(bytes(10_000_000))
    events: list[Event] = []
    async with open_client(files(root), report=events.append) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n")
        begun = await client.stream.receive_some(100)
        os.truncate(path, 100_000)
        assert b"200 OK" in begun
        assert len(await client.rest()) < 10_000_000
    assert [event.ending for event in events if isinstance(event, Record)] == [Ending.ABORTED]


async def test_no_descriptor_stays_open(root: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with open_client(files(root)) as client:
        before = count()
        for target in ("/file", "/nothing", "/link", "/fifo", "/../secret"):
            await client.get(target)
            await client.request("HEAD", target)
        assert count() == before


# How it is represented


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.txt", "text/plain; charset=utf-8"),
        ("page.html", "text/html; charset=utf-8"),
        ("PAGE.HTML", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("data.json", "application/json"),
        ("picture.png", "image/png"),
        ("drawing.svg", "image/svg+xml"),
        ("unknown", "application/octet-stream"),
        ("unknown.zzz", "application/octet-stream"),
        ("", "application/octet-stream"),
        (".html", "application/octet-stream"),  # hidden, without a suffix
        # A coding of the file itself is no Content-Encoding: who saves an
        # archive wants the archive.
        ("archive.tar.gz", "application/gzip"),
        ("archive.tgz", "application/gzip"),
        ("page.html.br", "application/x-brotli"),
        ("archive.bz2", "application/x-bzip2"),
        ("archive.tar.xz", "application/octet-stream"),
        # Names that look like URLs are names.
        ("data:,x.png", "image/png"),
        ("a:b?c.html", "text/html; charset=utf-8"),
        ("a#b.html", "text/html; charset=utf-8"),
        ("caf\udce9.txt", "text/plain; charset=utf-8"),
    ],
)
def test_the_media_type_that_a_name_suggests(name: str, expected: str) -> None:
    assert media_type_of_name(name) == expected


async def test_the_media_type_follows_the_name(root: Path) -> None:
    (root / "page.html").write_bytes(b"<p>")
    async with open_client(files(root)) as client:
        answer = await client.get("/page.html")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        answer = await client.get("/file")
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_the_media_type_can_be_given(root: Path) -> None:
    (root / "page.html").write_bytes(b"<p>")
    async with open_client(files(root, media_type="application/octet-stream")) as client:
        answer = await client.get("/page.html")
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_what_is_worth_it_is_compressed_for_those_who_ask(root: Path) -> None:
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
async def test_compression_can_be_chosen(
    root: Path, compress: Compress, coding: str | None
) -> None:
    (root / "text.txt").write_bytes(b"the same over and over\n" * 1000)
    async with open_client(files(root, compress=compress)) as client:
        for target in ("/text.txt", "/file"):
            answer = await client.get(target, [("Accept-Encoding", "gzip")])
            assert answer.headers.get("Content-Encoding") == coding
