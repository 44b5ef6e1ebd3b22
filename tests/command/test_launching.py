"""Tests of the app that each command serves, and of settings that contradict each other."""

import gzip
import os
from json import loads
from pathlib import Path
from typing import Any

import pytest

from trio_http.command.launching import app_of
from trio_http.command.settings_parsing import parse
from trio_http.command.wrong_use import WrongUseError
from trio_http.file_server import precompressed_siblings
from trio_http.http1.exchange import App
from trio_http.testing import open_client

LOCALHOST = ("Host", "localhost")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def app_for(*arguments: str) -> App:
    """Return the App that the command would serve."""
    settings = parse(arguments)
    assert settings is not None
    app: Any = app_of(settings)
    served: App = app
    return served


def error_of(*arguments: str) -> str:
    with pytest.raises(WrongUseError) as caught:
        app_for(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"file": 4, "directory": None}),
        (["--hidden"], {"file": 4, "directory": None, ".hidden": 0}),
        (["--follow-links"], {"file": 4, "directory": None, "link": 4}),
        (
            ["--follow-links", "--hidden"],
            {"file": 4, "directory": None, ".hidden": 0, "link": 4},
        ),
        (["--no-listing", "--hidden"], None),
    ],
    ids=str,
)
async def test_options_select_the_listed_entries(
    directory: Path, options: list[str], expected: dict[str, int | None] | None
) -> None:
    (directory / "directory").mkdir()
    (directory / "file").write_bytes(b"four")
    (directory / ".hidden").touch()
    (directory / "link").symlink_to("file")
    async with open_client(app_for("files", ".", *options)) as client:
        answer = await client.get("/", [LOCALHOST, ("Accept", "application/json")])
        assert answer.status == (404 if expected is None else 200)
        if expected is not None:
            entries = loads(answer.body)["entries"]
            assert {entry["name"]: entry["size"] for entry in entries} == expected


async def test_options_make_files_writable_and_cacheable(directory: Path) -> None:
    async with open_client(app_for("files", ".")) as client:
        assert (await client.request("PUT", "/name", [LOCALHOST], b"data")).status == 405
    options = ["--writable", "--cache-control", "max-age=60", "--bind", "127.0.0.1:0"]
    async with open_client(app_for("files", ".", *options)) as client:
        assert (await client.request("PUT", "/name", [LOCALHOST], b"data")).status == 201
        assert (await client.get("/name", [LOCALHOST])).headers["Cache-Control"] == "max-age=60"
    assert (directory / "name").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("options", "taken", "refused"),
    [
        (["--bind", "localhost:0"], ["localhost", "[::1]:1"], ["test", "evil.example:4501", ""]),
        (["--bind", "[::1]:0", "--bind", "127.0.0.1:0"], ["localhost:1"], ["test"]),
        (["--server-name", "test"], ["test:80", "TEST", "localhost"], ["evil.example"]),
        (["--server-name", "a", "--server-name", "[::2]"], ["a", "[0::2]:1", "[::1]"], ["test"]),
        (["--bind", "0.0.0.0:0"], ["test", "evil.example", ""], []),
        (["--bind", "127.0.0.1:0", "--bind", ":0"], ["test"], []),
        (["--bind", ":0", "--server-name", "test"], ["test", "localhost"], ["evil.example"]),
    ],
    ids=str,
)
async def test_request_for_another_host_gets_421(
    directory: Path, options: list[str], taken: list[str], refused: list[str]
) -> None:
    (directory / "name").write_bytes(b"data")
    async with open_client(app_for("files", ".", *options)) as client:
        for host in taken:
            assert (await client.get("/name", [("Host", host)])).body == b"data"
        for host in refused:
            assert (await client.get("/name", [("Host", host)])).status == 421


async def test_request_for_a_foreign_host_gets_421_and_changes_no_file(directory: Path) -> None:
    page = [("Host", "evil.example:4501"), ("Origin", "http://evil.example:4501")]
    options = ["--writable", "--bind", "localhost:0"]
    async with open_client(app_for("files", ".", *options)) as client:
        for method in ("PUT", "DELETE", "POST", "GET", "OPTIONS"):
            assert (await client.request(method, "/name", page)).status == 421
    assert not (directory / "name").exists()


@pytest.mark.parametrize(
    ("options", "fields", "status"),
    [
        # Clients other than browsers may name any host, as the challenge's tests do.
        ([], [("Host", "evil.example")], 201),
        ([], [("Host", "evil.example"), ("Origin", "http://evil.example")], 421),
        ([], [("Host", "evil.example"), ("Sec-Fetch-Site", "same-origin")], 421),
        ([], [LOCALHOST, ("Origin", "http://localhost")], 201),
        ([], [LOCALHOST, ("Origin", "http://localhost:3000")], 403),
        (["--server-name", "test"], [("Host", "test"), ("Origin", "http://test")], 201),
        (["--bind", ":0"], [("Host", "test"), ("Origin", "http://test")], 201),
    ],
)
async def test_challenge_rejects_uploads_from_other_sites(
    directory: Path, options: list[str], fields: list[tuple[str, str]], status: int
) -> None:
    arguments = ["challenge", "--directory", ".", *(options or ["--bind", "localhost:0"])]
    async with open_client(app_for(*arguments)) as client:
        answer = await client.request("POST", "/files/name", fields, b"data")
        assert answer.status == status
        assert (await client.get("/echo/abc", fields)).body == b"abc"
    assert (directory / "name").exists() is (status == 201)


async def test_precompressed_option_sends_gzip_sibling(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompressed_siblings, "SETTLED", -1)
    (directory / "name").write_bytes(b"data")
    (directory / "name.gz").write_bytes(gzip.compress(b"data"))
    for options, coding in {(): None, ("--precompressed",): "gzip"}.items():
        async with open_client(app_for("files", ".", *options)) as client:
            answer = await client.get("/name", [LOCALHOST, ("Accept-Encoding", "gzip")])
            assert answer.headers.get("Content-Encoding") == coding


async def test_charset_option_sets_charset_of_text_files(directory: Path) -> None:
    (directory / "text.txt").write_bytes(b"text")
    for options, expected in {
        (): "text/plain; charset=utf-8",
        ("--charset", "koi8-r"): "text/plain; charset=koi8-r",
        ("--charset", "none"): "text/plain",
    }.items():
        async with open_client(app_for("files", ".", *options)) as client:
            assert (await client.get("/text.txt", [LOCALHOST])).headers["Content-Type"] == expected


def test_invalid_cache_control_is_wrong_use() -> None:
    line = error_of("files", ".", "--cache-control", "two\nlines")
    assert line.startswith("not a field value, for Cache-Control: ")


@pytest.mark.parametrize("charset", ["", "two words", "utf-8;"])
def test_invalid_charset_is_wrong_use(charset: str) -> None:
    line = error_of("files", ".", "--charset", charset)
    assert line == f"not the name of a charset: {charset!r}"


def test_precompressed_and_writable_is_wrong_use() -> None:
    options = ["--precompressed", "--writable", "--bind", "127.0.0.1:0"]
    line = error_of("files", ".", *options)
    assert line.startswith("precompressed files are not for a directory that clients ")


@pytest.mark.parametrize(
    "binds",
    [
        ["0.0.0.0:0"],
        ["[::]:0"],
        [":0"],  # every address
        ["192.0.2.1:0"],
        ["[2001:db8::1]:0"],
        ["localhost.test:0"],  # may resolve to any address
        ["127.0.0.1:0", "0.0.0.0:0"],
        ["localhost:0", "[::1]:0", "10.0.0.1:0"],
    ],
    ids=str,
)
def test_writable_on_other_addresses_is_wrong_use_unless_allowed(binds: list[str]) -> None:
    options = [argument for bind in binds for argument in ("--bind", bind)]
    line = error_of("files", ".", "--writable", *options)
    assert line.startswith(f"every client that reaches {binds[-1]} could change the files: ")
    app_for("files", ".", "--writable", "--allow-remote-writes", *options)
    app_for("files", ".", *options)


@pytest.mark.parametrize(
    "binds", [[], ["localhost:0"], ["127.0.0.1:0", "[::1]:0"], ["127.255.0.1:0"]], ids=str
)
def test_writable_on_loopback_addresses_is_allowed(binds: list[str]) -> None:
    options = [argument for bind in binds for argument in ("--bind", bind)]
    app_for("files", ".", "--writable", *options)


@pytest.mark.parametrize(("options", "forced"), [([], 0), (["--durable"], 3)])
async def test_option_makes_uploads_durable(
    directory: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], forced: int
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    options = ["--writable", "--bind", "127.0.0.1:0", *options]
    async with open_client(app_for("files", ".", *options)) as client:
        assert (await client.put("/new", [LOCALHOST], b"data")).status == 201
    assert len(calls) == forced
