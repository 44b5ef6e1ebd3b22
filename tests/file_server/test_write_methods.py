"""Tests of changes to a directory over HTTP: stored and deleted files, and the responses."""

import gzip
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from trio_http.file_server.app import files
from trio_http.file_server.permissions import PART_PREFIX, PART_SUFFIX, Permissions
from trio_http.semantics import forms
from trio_http.semantics.digests import Digest
from trio_http.semantics.limits import Limits
from trio_http.testing import Client, ReceivedResponse, open_client

# Worker threads do the work, so these tests do not use an autojump clock.

DIGEST = Digest("sha-256", hashlib.sha256(b"data").digest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A writable directory, next to one outside of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "folder").mkdir(parents=True)
    return tmp_path / "root"


@asynccontextmanager
async def connected(root: Path, allow: Permissions = Permissions.WRITING) -> AsyncIterator[Client]:
    async with open_client(files(root, allow=allow)) as client:
        yield client


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


# PUT


async def test_put_creates_and_replaces(root: Path) -> None:
    async with connected(root) as client:
        created = await client.request("PUT", "/name", body=b"new")
        assert (created.status, created.body) == (201, b"")
        assert (await client.get("/name")).headers["ETag"] == created.headers["ETag"]
        replaced = await client.request("PUT", "/name", body=b"newer")
        assert (replaced.status, replaced.body) == (204, b"")
        assert replaced.headers["ETag"] != created.headers["ETag"]
        answer = await client.get("/name")
        assert (answer.body, answer.headers["ETag"]) == (b"newer", replaced.headers["ETag"])


async def test_put_stores_in_directories_but_creates_none(root: Path) -> None:
    async with connected(root) as client:
        assert (await client.request("PUT", "/folder/a%2Db", body=b"1")).status == 201
        for target in ("/nothing/name", "/folder/a-b/name"):
            assert (await client.request("PUT", target, body=b"2")).status == 404
        for target in ("/folder", "/folder/", "/nothing/", "/"):
            assert (await client.request("PUT", target, body=b"3")).status == 409
    assert contents(root) == {"folder/a-b": b"1"}


async def test_empty_body_is_stored_as_an_empty_file(root: Path) -> None:
    async with connected(root) as client:
        answer = await client.request("PUT", "/name", [("Content-Length", "0")])
        assert answer.status == 201
    assert contents(root) == {"name": b""}


async def test_put_checks_preconditions(root: Path) -> None:
    async with connected(root) as client:

        async def put(name: str, value: str, body: bytes) -> int:
            return (await client.request("PUT", "/name", [(name, value)], body)).status

        assert await put("If-Match", "*", b"0") == 412
        assert await put("If-None-Match", "*", b"1") == 201
        assert await put("If-None-Match", "*", b"2") == 412
        first = (await client.get("/name")).headers["ETag"]
        assert await put("If-Match", first, b"3") == 204
        assert await put("If-Match", first, b"4") == 412
        assert (await client.get("/name")).body == b"3"


async def test_tag_of_any_representation_is_accepted(root: Path) -> None:
    (root / "name.txt").write_bytes(b"the same over and over\n" * 100)
    async with connected(root) as client:
        for coding in ("gzip", "br"):
            answer = await client.get("/name.txt", [("Accept-Encoding", coding)])
            assert answer.headers["Content-Encoding"] == coding
            condition = ("If-None-Match", answer.headers["ETag"])
            assert (await client.request("PUT", "/name.txt", [condition], b"x")).status == 412
        condition = ("If-Match", answer.headers["ETag"])
        assert (await client.request("PUT", "/name.txt", [condition], b"x")).status == 204
        assert (await client.request("PUT", "/name.txt", [condition], b"y")).status == 412


async def test_both_tags_of_svgz_are_accepted(root: Path) -> None:
    (root / "a.svgz").write_bytes(gzip.compress(b"<svg/>"))
    async with connected(root) as client:
        tags = {
            (await client.get("/a.svgz", [("Accept-Encoding", coding)])).headers["ETag"]
            for coding in ("gzip", "identity")
        }
        assert len(tags) == 2
        for tag in tags:
            condition = ("If-None-Match", tag)
            assert (await client.request("PUT", "/a.svgz", [condition], b"x")).status == 412


async def test_refusal_is_sent_before_the_body(root: Path) -> None:
    (root / "name").touch()
    fields = [("Expect", "100-continue"), ("Content-Length", "1000000000")]
    async with connected(root) as client:
        answer = await client.request("PUT", "/name", [("If-None-Match", "*"), *fields])
        assert answer.status == 412


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (("Content-Range", "bytes 0-3/8"), 400),
        (("Content-Encoding", "gzip"), 415),
        (("Content-Encoding", "identity"), 201),
        (("Content-Digest", str(DIGEST)), 201),
        (("Content-Digest", "sha-256=nonsense"), 400),
        (("Repr-Digest", str(Digest("sha-512", b""))), 400),
        (("Repr-Digest", "md5=:AAAA:"), 201),
    ],
)
async def test_put_verifies_fields_of_the_content(
    root: Path, field: tuple[str, str], status: int
) -> None:
    async with connected(root) as client:
        assert (await client.request("PUT", "/name", [field], b"data")).status == status
    assert contents(root) == ({"name": b"data"} if status == 201 else {})


@pytest.mark.parametrize("length", ["4", "100000000"])  # read before the check, or after it
@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("/.hidden", "no file can be stored under this name"),
        ("/a%2Fb", "no file can be stored under this name"),
        ("/a%00b", "no file can be stored under this name"),
        (f"/{'n' * 300}", "the name is longer than the file system allows"),
        (f"/{'n' * 300}/name", "the name is longer than the file system allows"),
        ("/nothing/name", "the directory does not exist, and uploads do not create directories"),
        ("/file/name", "the directory does not exist, and uploads do not create directories"),
        ("/.hidden/name", "the directory does not exist, and uploads do not create directories"),
        ("/nothing/.hidden", "no file can be stored under this name"),
    ],
)
async def test_reason_of_a_refused_upload_is_sent(
    root: Path, target: str, detail: str, length: str
) -> None:
    (root / "file").write_bytes(b"file")
    async with connected(root) as client:
        answer = await client.request("PUT", target, [("Content-Length", length)], b"data")
        # The page of the directory shows the first line.
        assert answer.body.decode() == f"404 Not Found: {detail}\n"
        assert answer.headers["Content-Type"].startswith("text/plain")
    assert contents(root) == {"file": b"file"}


@pytest.mark.parametrize(
    "head",
    [
        "PUT /name HTTP/1.0",
        "PUT /name HTTP/1.1",
        f"POST / HTTP/1.0\r\nContent-Type: multipart/form-data; boundary={'b' * 10}",
    ],
)
async def test_request_without_a_length_empties_no_file(root: Path, head: str) -> None:
    (root / "name").write_bytes(b"keep this")
    async with connected(root) as client:
        await client.send(f"{head}\r\nHost: test\r\n\r\n".encode())
        assert (await client.response()).status == 411
    assert contents(root) == {"name": b"keep this"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "target",
    [
        "/../outside/name",
        "/..%2Foutside%2Fname",
        "/%2e%2e/outside/name",
        "/folder/%2e%2e%2fname",
        "/folder%2Fname",
        "//name",
        "/link-out/name",
        "/.hidden",
        f"/{PART_PREFIX}0{PART_SUFFIX}",
    ],
)
async def test_target_outside_of_the_root_gets_404(root: Path, method: str, target: str) -> None:
    (root / "link-out").symlink_to("../outside")
    (root.parent / "outside" / "name").write_bytes(b"outside")
    (root / "name").write_bytes(b"inside")
    (root / ".hidden").write_bytes(b"hidden")
    before = contents(root.parent)
    async with connected(root) as client:
        assert (await client.request(method, target, body=b"x")).status == 404
    assert contents(root.parent) == before


async def test_visible_files_can_be_changed(root: Path) -> None:
    (root / "link-out").symlink_to("../outside")
    async with connected(
        root, Permissions.WRITING | Permissions.LINKS | Permissions.HIDDEN
    ) as client:
        assert (await client.request("PUT", "/link-out/name", body=b"1")).status == 201
        assert (await client.request("PUT", "/.hidden", body=b"2")).status == 201
        assert (await client.request("PUT", "/link-out", body=b"3")).status == 409
    assert contents(root.parent) == {"outside/name": b"1", "root/.hidden": b"2"}


@pytest.mark.parametrize("name", ["a%20b", "%C3%A9", "caf%E9", "%E6%97%A5", "%22%3C%26", "%0A"])
async def test_names_in_any_encoding_are_kept(root: Path, name: str) -> None:
    async with connected(root) as client:
        assert (await client.request("PUT", f"/{name}", body=b"data")).status == 201
        assert (await client.get(f"/{name}")).body == b"data"
        assert (await client.request("DELETE", f"/{name}")).status == 204
    assert contents(root) == {}


# DELETE


async def test_delete_removes_a_file(root: Path) -> None:
    (root / "folder" / "name").touch()
    async with connected(root) as client:
        answer = await client.request("DELETE", "/folder/name")
        assert (answer.status, answer.body) == (204, b"")
        assert (await client.get("/folder/name")).status == 404
        assert (await client.request("DELETE", "/folder/name")).status == 404
        assert (await client.request("DELETE", "/folder")).status == 409
        assert (await client.request("DELETE", "/folder/")).status == 405
    assert (root / "folder").exists()


async def test_delete_checks_preconditions(root: Path) -> None:
    (root / "name").touch()
    async with connected(root) as client:
        for field in (("If-Match", '"another"'), ("If-None-Match", "*")):
            assert (await client.request("DELETE", "/name", [field])).status == 412
        field = ("If-Match", (await client.get("/name")).headers["ETag"])
        assert (await client.request("DELETE", "/name", [field])).status == 204
    assert contents(root) == {}


# Forms

BOUNDARY = "boundary"
FORM = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")


def form_of(*parts: tuple[str, bytes]) -> bytes:
    """Return a form of these parts: the parameters after ``form-data;``, and the content."""
    form = b"".join(
        [
            b"--boundary\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n"
            % (head.encode("utf-8", "surrogateescape"), content)
            for head, content in parts
        ]
    )
    return form + b"--boundary--\r\n"


def file(name: str, content: bytes = b"data") -> tuple[str, bytes]:
    return f'name="file"; filename="{name}"', content


async def post(
    root: Path,
    *parts: tuple[str, bytes],
    target: str = "/",
    fields: tuple[tuple[str, str], ...] = (),
) -> ReceivedResponse:
    async with connected(root) as client:
        return await client.request("POST", target, [FORM, *fields], form_of(*parts))


async def test_files_of_a_form_are_stored_and_then_listed(root: Path) -> None:
    answer = await post(root, file("a", b"\0\r\n--"), file("b", bytes(1_000_000)), file("c", b""))
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert contents(root) == {"a": b"\0\r\n--", "b": bytes(1_000_000), "c": b""}


async def test_form_stores_in_the_directory_that_it_was_sent_to(root: Path) -> None:
    answer = await post(root, file("name"), target="/folder/")
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert contents(root) == {"folder/name": b"data"}


async def test_empty_parts_of_a_form_are_skipped(root: Path) -> None:
    parts = [('name="_charset_"', b"utf-8"), file("", b""), file("name"), ('name="more"', b"")]
    assert (await post(root, *parts)).status == 303
    assert contents(root) == {"name": b"data"}


@pytest.mark.parametrize(
    "head",
    [
        'name="comment"',  # sent by ``curl -F 'comment=<file'``
        'name="comment"; filename=""',
        "name=\"comment\"; filename*=UTF-8''",
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
async def test_content_without_a_file_name_is_refused(root: Path, head: str, size: int) -> None:
    answer = await post(root, file("before"), (head, b"x" * size), file("after"))
    assert answer.body.decode() == (
        "400 Bad Request: the field “comment” has no file name; stored: “before”, “after”\n"
    )
    assert contents(root) == {"before": b"data", "after": b"data"}


async def test_file_with_only_an_extended_name_is_stored(root: Path) -> None:
    answer = await post(root, ("name=\"file\"; filename*=UTF-8''caf%C3%A9.txt", b"data"))
    assert answer.status == 303
    assert contents(root) == {"café.txt": b"data"}


async def test_malformed_extended_name_is_refused(root: Path) -> None:
    answer = await post(root, file("a"), ("name=\"file\"; filename*=x''y", b"data"), file("b"))
    assert answer.body.decode() == (
        "400 Bad Request: filename* of the field file is malformed; stored: “a”\n"
    )
    assert contents(root) == {"a": b"data"}


async def test_file_keeps_a_name_that_is_not_utf8(root: Path) -> None:
    raw = b"\x93\xfa\x96{ caf\xe9"  # in Shift_JIS and Latin-1
    name = raw.decode("utf-8", "surrogateescape")
    assert (await post(root, file(name))).status == 303
    assert raw in os.listdir(os.fsencode(root))  # noqa: PTH208 - the name in bytes
    answer = await post(root, file(name, b"other"))
    assert (answer.status, "“���{ caf�”".encode() in answer.body) == (409, True)
    assert contents(root) == {name: b"data"}


async def test_too_many_files_in_a_form_are_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "MOST_FIELDS", 12)  # a thousand take seconds
    answer = await post(root, *[file(f"{n:04}", b"%d" % n) for n in range(15)])
    assert answer.status == 413
    names = ", ".join([f"“{n:04}”" for n in range(10)])
    assert answer.body.decode() == (
        f"413 Content Too Large: a form may have at most 12 fields; stored: {names} and 2 more\n"
    )
    assert contents(root) == {f"{n:04}": b"%d" % n for n in range(12)}


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("a b", "a b"),
        ("日本語.txt", "日本語.txt"),
        ("a%22b", 'a"b'),  # browsers escape a quotation mark so (HTML, "multipart/form-data")
        ("100%", "100%"),
        # The path on the client's machine is dropped (RFC 7578 4.2).
        ("folder/name", "name"),
        ("/etc/name", "name"),
        ("../../outside/name", "name"),
        ("C:\\\\files\\\\name", "name"),
        ("back\\slash", "back\\slash"),
    ],
)
async def test_files_of_a_form_keep_their_names(root: Path, filename: str, name: str) -> None:
    assert (await post(root, file(filename))).status == 303
    assert contents(root.parent) == {f"root/{name}": b"data"}


@pytest.mark.parametrize(
    "filename",
    [
        ".",
        "..",
        "folder/",
        "../..",
        ".hidden",
        "a\0b",
        "é" * 200,
        f"{PART_PREFIX}0{PART_SUFFIX}",
    ],
)
async def test_impossible_names_are_refused(root: Path, filename: str) -> None:
    answer = await post(root, file("a"), file(filename), file("b"))
    text = answer.body.decode()
    assert answer.status == 400
    assert "the name is longer" in text or "no file can be stored under this name" in text
    assert text.endswith("; stored: “a”, “b”\n")
    assert contents(root.parent) == {"root/a": b"data", "root/b": b"data"}


async def test_form_does_not_replace_files(root: Path) -> None:
    (root / "old").write_bytes(b"old")
    answer = await post(root, file("before"), file("old"), file("folder"), file("behind"))
    assert answer.status == 409
    assert answer.body.decode() == (
        "409 Conflict: there already, and kept as it was: “old”, “folder”; "
        "stored: “before”, “behind”\n"
    )
    assert contents(root) == {"before": b"data", "old": b"old", "behind": b"data"}


@pytest.mark.parametrize(
    "parts", [[], [file("", b"")], [('name="file"', b"")], [('name="_charset_"', b"utf-8")]]
)
async def test_form_without_a_file_is_refused(root: Path, parts: list[tuple[str, bytes]]) -> None:
    answer = await post(root, *parts)
    assert (answer.status, b"no file was chosen" in answer.body) == (400, True)


async def test_form_that_breaks_off_stores_complete_files(root: Path) -> None:
    body = form_of(file("whole"), file("half", b"x" * 1000))[:-500]
    async with connected(root) as client:
        answer = await client.request("POST", "/", [FORM], body)
    assert answer.body.decode() == (
        "400 Bad Request: the multipart form is malformed or incomplete; stored: “whole”\n"
    )
    assert contents(root) == {"whole": b"data"}


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/nothing/", [FORM], 404),
        ("/", [], 415),
        ("/", [("Content-Type", "application/x-www-form-urlencoded")], 415),
        ("/", [("Content-Type", "multipart/form-data")], 400),  # without a boundary
        ("/", [FORM, ("Content-Encoding", "gzip")], 415),
        ("/", [FORM, ("Content-Digest", str(DIGEST))], 400),
        ("/", [FORM, ("If-None-Match", "*")], 412),  # the directory exists
        ("/", [FORM, ("If-Match", '"tag"')], 412),
        ("/", [FORM, ("Origin", "http://evil.test")], 403),
        ("/", [FORM, ("Sec-Fetch-Site", "cross-site")], 403),
        ("/folder", [FORM], 405),  # the URL lacks its slash
    ],
)
async def test_form_is_refused_before_its_body(
    root: Path, target: str, fields: list[tuple[str, str]], status: int
) -> None:
    expecting = [("Expect", "100-continue"), ("Content-Length", "1000000000")]
    async with connected(root) as client:
        assert (await client.request("POST", target, [*fields, *expecting])).status == status
    assert contents(root) == {}


async def test_content_other_than_a_form_gets_415(root: Path) -> None:
    async with connected(root) as client:
        answer = await client.request("POST", "/", [("Content-Type", "text/plain")], b"data")
        assert (answer.status, answer.headers["Accept"]) == (415, "multipart/form-data")


async def test_form_from_the_own_page_is_accepted(root: Path) -> None:
    fields = (("Sec-Fetch-Site", "same-origin"), ("Origin", "http://test"), ("If-Match", "*"))
    assert (await post(root, file("name"), fields=fields)).status == 303


async def test_error_of_a_file_is_the_response_to_its_form(root: Path) -> None:
    body = form_of(file("name", bytes(1000)))
    fields = [FORM, ("Transfer-Encoding", "chunked")]
    sent = b"%x\r\n%b\r\n" % (len(body), body)
    async with open_client(
        files(root, allow=Permissions.WRITING), limits=Limits(body=100)
    ) as client:
        answer = await client.request("POST", "/", fields, sent)
        assert answer.status == 413
    assert contents(root) == {}


# Other sites


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("PUT", "/name", 204), ("DELETE", "/name", 204), ("POST", "/", 303)],
)
@pytest.mark.parametrize(
    ("field", "is_own"),
    [
        (("Sec-Fetch-Site", "same-origin"), True),
        (("Origin", "http://test"), True),
        (("Sec-Fetch-Site", "same-site"), False),
        (("Sec-Fetch-Site", "cross-site"), False),
        (("Origin", "https://evil.example"), False),
        (("Origin", "https://test"), False),
        (("Origin", "http://test:8080"), False),
        (("Origin", "null"), False),
    ],
)
async def test_pages_of_other_sites_cannot_change_anything(  # noqa: PLR0917
    root: Path, method: str, target: str, status: int, field: tuple[str, str], is_own: object
) -> None:
    (root / "name").write_bytes(b"old")
    async with connected(root) as client:
        answer = await client.request(method, target, [FORM, field], form_of(file("new")))
        assert answer.status == (status if is_own else 403)
        # If the method is not allowed anyway, that is the response.
        assert (await client.request("PATCH", "/name", [field])).status == 405
        assert (await client.get("/name", [field])).status in {200, 404}
    assert (contents(root) == {"name": b"old"}) is (not is_own)


# Read-only directories


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("target", ["/name", "/", "/new"])
async def test_nothing_can_be_changed_unless_allowed(root: Path, method: str, target: str) -> None:
    (root / "name").write_bytes(b"old")
    async with connected(root, ~Permissions.WRITING) as client:
        answer = await client.request(method, target, [FORM], form_of(file("new")))
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert contents(root) == {"name": b"old"}


async def test_no_descriptor_stays_open(root: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough

    async with connected(root) as client:
        before = count()
        for target in ("/name", "/name", "/nothing/name", "/folder", "/.hidden"):
            await client.request("PUT", target, body=b"data")
            await client.request("DELETE", target)
        await client.request("POST", "/", [FORM], form_of(file("a"), file("a"), file(".b")))
        assert count() == before
