"""Tests of every stage of the challenge, and of the rules for all of them."""

import gzip
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import trio
import trio.testing
from support import open_descriptors

from trio_http.apps.challenge import challenge
from trio_http.apps.routing import Router
from trio_http.file_server.permissions import PART_PREFIX, PART_SUFFIX
from trio_http.semantics.behavior import Behavior
from trio_http.testing import Client, ReceivedResponse, open_client

# Worker threads read and write the files, so these tests do not use the autojump clock.

EVERY_BYTE = bytes(range(256))

# The setting of your_program.sh.
open_connection = partial(open_client, behavior=Behavior(date=False))


@asynccontextmanager
async def open_connections(
    count: int, directory: Path | None = None
) -> AsyncIterator[list[Client]]:
    """Open several connections to one App."""
    app = challenge(directory)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_connection(app)) for _ in range(count)]


async def get(
    target: str, *fields: tuple[str, str], directory: Path | None = None
) -> ReceivedResponse:
    async with open_connection(challenge(directory)) as client:
        return await client.get(target, fields)


async def post(target: str, body: bytes, directory: Path) -> ReceivedResponse:
    async with open_connection(challenge(directory)) as client:
        return await client.request("POST", target, body=body)


def all_below(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


# The stages, numbered as in the list


async def test_01_bind_to_a_port() -> None:
    async with open_connections(1) as (client,):
        await trio.testing.wait_all_tasks_blocked()
        # The server accepts, and sends nothing before there is a request.
        with trio.move_on_after(0) as waiting:
            await client.stream.receive_some()
        assert waiting.cancelled_caught


async def test_02_respond_with_200() -> None:
    async with open_connections(1) as (client,):
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost:4221\r\n\r\n")
        head = await client.stream.receive_some(1000)
        assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("path", ["/abcdefg", "/echo", "/user-agents", "/index.html", "//"])
async def test_03_extract_url_path(path: str) -> None:
    answer = await get(path)
    assert (answer.status, answer.reason) == (404, "Not Found")
    answer = await get("/")
    assert (answer.status, answer.reason) == (200, "OK")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", b"abc"),
        ("a", b"a"),
        ("banana-pear_237.txt~", b"banana-pear_237.txt~"),
        ("yikes/dooby-Monkey", b"yikes/dooby-Monkey"),  # an early edition has slashes
        ("a%20b", b"a b"),
        ("caf%C3%A9", "café".encode()),
        ("%ff%00", b"\xff\0"),  # any bytes
        ("x" * 5000, b"x" * 5000),
    ],
)
async def test_04_respond_with_body(text: str, expected: bytes) -> None:
    answer = await get(f"/echo/{text}")
    assert (answer.status, answer.reason, answer.body) == (200, "OK", expected)
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == str(len(expected))


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "USER-AGENT", "uSER-aGENT"])
async def test_05_read_header(name: str) -> None:
    answer = await get("/user-agent", (name, "foobar/1.2.3"))
    assert (answer.status, answer.body) == (200, b"foobar/1.2.3")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == "12"


@pytest.mark.parametrize("agent", ["curl/8", "x" * 5000])
async def test_05_response_varies_by_user_agent(agent: str) -> None:
    # RFC 9110 12.5.5; a body that is long enough also varies by the coding.
    answer = await get("/user-agent", ("User-Agent", agent), ("Accept-Encoding", "gzip"))
    assert "User-Agent" in answer.headers["Vary"].split(", ")
    assert ("Accept-Encoding" in answer.headers["Vary"].split(", ")) is (len(agent) > 100)
    assert "User-Agent" not in ((await get("/echo/abc")).headers["Vary"])


async def test_05_absent_header_gives_an_empty_body() -> None:
    answer = await get("/user-agent")
    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "0", b"")


async def test_06_concurrent_connections() -> None:
    async with open_connections(5) as clients:
        # The first client sends half a request, which does not delay the others.
        await clients[0].send(b"GET / HTTP/1.1\r\n")
        for client in (clients[3], clients[1], clients[4], clients[2]):
            assert (await client.get("/")).status == 200
        await clients[0].send(b"Host: test\r\n\r\n")
        assert (await clients[0].response()).status == 200


@pytest.mark.parametrize("data", [b"", b"Hello, World!", EVERY_BYTE, bytes(1_000_000)], ids=len)
async def test_07_return_a_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "name").write_bytes(data)
    answer = await get("/files/name", directory=tmp_path)
    assert (answer.status, answer.reason, answer.body) == (200, "OK", data)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(len(data))


async def test_07_directory_is_open_while_the_app_is_served(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"data")
    app, before = challenge(tmp_path), open_descriptors()
    async with open_client(app) as client:
        for _ in range(3):
            assert (await client.get("/files/name")).body == b"data"
        assert open_descriptors() == before + 1  # the directory
    assert open_descriptors() == before


async def test_07_return_a_file_of_any_type_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<p>")
    answer = await get("/files/page.html", directory=tmp_path)
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "target",
    [
        "/files/nothing",
        "/files/",
        "/files",
        "/files/.",
        "/files/../secret",
        "/files/%2e%2e%2fsecret",
    ],
)
async def test_07_missing_file_gets_404(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").touch()
    (tmp_path / "files").mkdir()
    answer = await get(target, directory=tmp_path / "files")
    assert (answer.status, answer.reason) == (404, "Not Found")


@pytest.mark.parametrize(
    "data", [b"12345", b"\0", b"\0middle\0", EVERY_BYTE, bytes(1_000_000)], ids=len
)
async def test_08_read_request_body(tmp_path: Path, data: bytes) -> None:
    answer = await post("/files/name", data, tmp_path)
    assert (answer.status, answer.reason, answer.body) == (201, "Created", b"")
    assert (tmp_path / "name").read_bytes() == data
    assert (await get("/files/name", directory=tmp_path)).body == data


async def test_08_empty_request_body_is_stored(tmp_path: Path) -> None:
    async with open_connection(challenge(tmp_path)) as client:
        answer = await client.request("POST", "/files/name", [("Content-Length", "0")])
    assert answer.status == 201
    assert (tmp_path / "name").read_bytes() == b""


async def test_08_request_without_length_gets_411_and_keeps_the_file(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"keep this")
    async with open_connection(challenge(tmp_path)) as client:
        await client.send(b"POST /files/name HTTP/1.0\r\n\r\n")
        assert (await client.response()).status == 411
    assert (tmp_path / "name").read_bytes() == b"keep this"


async def test_08_too_long_name_gets_404_with_the_reason(tmp_path: Path) -> None:
    async with open_connection(challenge(tmp_path)) as client:
        answer = await client.request("POST", f"/files/{'n' * 300}", body=b"data")
    assert (answer.status, b"longer than the file system allows" in answer.body) == (404, True)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("invalid-encoding", None), (None, None), ("", None)],
)
async def test_09_compression_headers(accepted: str | None, coding: str | None) -> None:
    fields = [] if accepted is None else [("Accept-Encoding", accepted)]
    answer = await get("/echo/abc", *fields)
    assert answer.status == 200
    assert answer.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("invalid-1, gzip, invalid-2", "gzip"),
        ("invalid-1,gzip,invalid-2", "gzip"),
        ("gzip, invalid-1", "gzip"),
        ("invalid-1, invalid-2", None),
        ("invalid-gzip, gzip-2", None),
    ],
)
async def test_10_multiple_schemes(accepted: str, coding: str | None) -> None:
    answer = await get("/echo/abc", ("Accept-Encoding", accepted))
    assert answer.headers.get("Content-Encoding") == coding
    if coding is None:
        assert answer.body == b"abc"


@pytest.mark.parametrize("text", ["abc", "a", "x" * 5000])
async def test_11_gzip_compression(text: str) -> None:
    answer = await get(f"/echo/{text}", ("Accept-Encoding", "gzip"))
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert gzip.decompress(answer.body) == text.encode()


async def test_12_persistent_connections() -> None:
    async with open_connections(1) as (client,):
        for target, body in {"/echo/one": b"one", "/echo/two": b"two"}.items():
            answer = await client.get(target)
            assert (answer.status, answer.body) == (200, body)
            assert "Connection" not in answer.headers
        assert (await client.get("/nothing")).status == 404  # keeps the connection open
        assert (await client.get("/user-agent", [("User-Agent", "x")])).body == b"x"


async def test_13_several_persistent_connections() -> None:
    async with open_connections(3) as clients:
        for turn in (0, 2, 1, 1, 0, 2):
            answer = await clients[turn].get(f"/echo/{turn}")
            assert answer.body == str(turn).encode()
        # Requests may be sent before the responses to others have been read.
        for turn in (1, 2, 0):
            await clients[turn].send(f"GET /echo/{turn} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        for turn in (0, 1, 2):
            assert (await clients[turn].response()).body == str(turn).encode()


@pytest.mark.parametrize("target", ["/", "/echo/abc", "/nothing"])
async def test_14_connection_closure(target: str) -> None:
    async with open_connections(1) as (client,):
        assert "Connection" not in (await client.get(target)).headers
        answer = await client.get(target, [("Connection", "close")])
        assert answer.headers["Connection"] == "close"
        assert await client.rest() == b""


# The rules that the checker adds


@pytest.mark.parametrize("target", ["/", "/echo/abc", "/user-agent", "/nothing"])
async def test_responses_have_neither_server_nor_date(target: str) -> None:
    answer = await get(target)
    assert "Date" not in answer.headers
    assert "Server" not in answer.headers


async def test_date_is_sent_by_default() -> None:
    async with open_client(challenge()) as client:
        answer = await client.get("/")
        assert "Date" in answer.headers  # RFC 9110 6.6.1
        assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("target", "status"), [("/", 200), ("/echo/abc", 200), ("/files/name", 200), ("/nothing", 404)]
)
async def test_half_closed_client_gets_its_response(
    tmp_path: Path, target: str, status: int
) -> None:
    (tmp_path / "name").touch()
    async with open_connections(1, tmp_path) as (client,):
        await client.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        await client.send_eof()
        assert (await client.response()).status == status
        assert await client.rest() == b""


async def test_upload_of_a_half_closed_client_is_stored(tmp_path: Path) -> None:
    async with open_connections(1, tmp_path) as (client,):
        await client.send(
            b"POST /files/name HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\ndata"
        )
        await client.send_eof()
        assert (await client.response()).status == 201
    assert (tmp_path / "name").read_bytes() == b"data"


# Features of earlier versions of this program


async def test_files_are_compressed_if_accepted(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(EVERY_BYTE)
    answer = await get("/files/name", ("Accept-Encoding", "gzip"), directory=tmp_path)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert gzip.decompress(answer.body) == EVERY_BYTE


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/files/name", "/files/name"),
        ("/files/%6eame~", "/files/name~"),
        ("/./files/x/../name", "/files/name"),
        ("http://test/files/name?x=y", "/files/name"),
        ("/files/caf%c3%a9%ff", "/files/caf%C3%A9%FF"),
        ("/files/a:b%20%3f%23%25", "/files/a%3Ab%20%3F%23%25"),
        ('/files/a"%0d%0aSet-Cookie:b', "/files/a%22%0D%0ASet-Cookie%3Ab"),
    ],
)
async def test_post_gets_the_location_of_its_file(
    tmp_path: Path, target: str, location: str
) -> None:
    answer = await post(target, b"data", tmp_path)
    assert (answer.status, answer.headers.values("Location")) == (201, [location])
    assert (await get(location, directory=tmp_path)).body == b"data"


async def test_location_includes_the_mount(tmp_path: Path) -> None:
    app = Router()
    app.mount("/in", challenge(tmp_path))
    async with open_client(app) as client:
        answer = await client.request("POST", "/in/files/name", body=b"data")
        assert answer.headers["Location"] == "/in/files/name"
        assert (await client.get("/in/files/name")).body == b"data"


async def test_post_replaces_an_existing_file(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"old and longer")
    assert (await post("/files/name", b"new", tmp_path)).status == 201
    assert (tmp_path / "name").read_bytes() == b"new"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_files_get_404_without_a_directory(method: str) -> None:
    async with open_connections(1) as (client,):
        for target in ("/files/", "/files/name", "/files/etc/passwd"):
            assert (await client.request(method, target)).status == 404


async def test_chunked_body_is_stored(tmp_path: Path) -> None:
    async with open_connections(1, tmp_path) as (client,):
        fields = [("Transfer-Encoding", "chunked")]
        body = b"3\r\nabc\r\n2\r\n\0\0\r\n0\r\n\r\n"
        assert (await client.request("POST", "/files/name", fields, body)).status == 201
        assert (await client.get("/files/name")).body == b"abc\0\0"


@pytest.mark.parametrize("request_line", [b"hello", b"GET /", b"GET  / HTTP/1.1", b"\0"])
async def test_malformed_request_gets_400(request_line: bytes) -> None:
    async with open_connections(1) as (client,):
        await client.send(request_line + b"\r\n\r\n")
        answer = await client.response()
        assert (answer.status, answer.reason) == (400, "Bad Request")
        await client.send_eof()
        assert await client.rest() == b""


async def test_slow_upload_does_not_delay_others(tmp_path: Path) -> None:
    async with open_connections(2, tmp_path) as (slow, quick):
        await slow.send(b"POST /files/name HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nhalf")
        assert (await quick.get("/files/name")).status == 404
        await slow.send(b"rest")
        assert (await slow.response()).status == 201
        assert (await quick.get("/files/name")).body == b"halfrest"


# Files


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2fname", "%2Ftmp%2Fname", "a%00", "", "nothing%2Fname"]
)
async def test_nothing_is_stored_outside_the_directory(tmp_path: Path, name: str) -> None:
    root = tmp_path / "files"
    root.mkdir()
    answer = await post(f"/files/{name}", b"data", root)
    assert answer.status in {404, 405}
    assert all_below(tmp_path) == [root]


async def test_files_in_subdirectories_are_read_only(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "name").write_bytes(b"deep")
    assert (await get("/files/folder/name", directory=tmp_path)).body == b"deep"
    answer = await post("/files/folder/name", b"new", tmp_path)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_stored_file_of_any_name_can_be_fetched(tmp_path: Path) -> None:
    for name in (".hidden", "name.gz", "..."):
        assert (await post(f"/files/{name}", name.encode(), tmp_path)).status == 201
        assert (await get(f"/files/{name}", directory=tmp_path)).body == name.encode()


async def test_precompressed_siblings_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"plain")
    (tmp_path / "name.gz").write_bytes(b"of another kind")
    (tmp_path / "name.br").write_bytes(b"of another kind")
    answer = await get("/files/name", ("Accept-Encoding", "gzip, br"), directory=tmp_path)
    assert answer.body != b"of another kind"
    assert (await get("/files/name", directory=tmp_path)).body == b"plain"


async def test_directories_get_404(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for target in ("/files", "/files/", "/files/folder", "/files/folder/"):
        assert (await get(target, directory=tmp_path)).status == 404


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (("If-None-Match", "*"), 412),
        (("If-Match", '"another"'), 412),
        (("If-Match", "*"), 201),
        (("Content-Encoding", "gzip"), 415),
        (("Content-Encoding", "identity"), 201),
        (("Content-Range", "bytes 0-2/3"), 400),
        (("Content-Digest", f"sha-256=:{b64encode(sha256(b'new').digest()).decode()}:"), 201),
        (("Content-Digest", f"sha-256=:{b64encode(sha256(b'odd').digest()).decode()}:"), 400),
        (("Repr-Digest", "sha-256=nonsense"), 400),
        (("Sec-Fetch-Site", "cross-site"), 403),  # a form on a page of another site
        (("Sec-Fetch-Site", "same-origin"), 201),
    ],
)
async def test_file_is_stored_only_if_all_fields_allow_it(
    tmp_path: Path, field: tuple[str, str], status: int
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    async with open_connection(challenge(tmp_path)) as client:
        assert (await client.request("POST", "/files/name", [field], b"new")).status == status
    assert (tmp_path / "name").read_bytes() == (b"new" if status == 201 else b"old")


async def test_if_match_prevents_lost_updates(tmp_path: Path) -> None:
    async with open_connections(1, tmp_path) as (client,):
        await client.request("POST", "/files/name", body=b"1")
        seen = ("If-Match", (await client.get("/files/name")).headers["ETag"])
        assert (await client.request("POST", "/files/name", [seen], b"2")).status == 201
        assert (await client.request("POST", "/files/name", [seen], b"3")).status == 412
        assert (await client.get("/files/name")).body == b"2"


async def test_unsupported_method_gets_405_with_allow(tmp_path: Path) -> None:
    async with open_connections(1, tmp_path) as (client,):
        answer = await client.request("DELETE", "/files/name")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, POST")


async def test_part_of_a_killed_server_is_removed_after_the_start(tmp_path: Path) -> None:
    part = tmp_path / f"{PART_PREFIX}0123456789abcdef{PART_SUFFIX}"
    part.touch()
    async with open_connections(1, tmp_path) as (client,):
        while part.exists():
            assert (await client.get("/")).status == 200
