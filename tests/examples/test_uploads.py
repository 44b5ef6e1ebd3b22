"""Tests of the upload example."""

from pathlib import Path

import pytest

from trio_http.examples.uploads import app
from trio_http.testing import open_client


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pictures"


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_picture_is_stored_and_served(directory: Path) -> None:
    async with open_client(app()) as client:
        target = "/pictures/my%20cat.PNG"
        response = await client.post(target, body=b"first")
        assert (response.status, response.headers["Location"]) == (201, target)
        shown = await client.get(target)
        assert (shown.body, shown.headers["Content-Type"]) == (b"first", "image/png")
        assert shown.headers["ETag"] == response.headers["ETag"]
        assert (await client.post(target, body=b"second")).status == 204
        assert (await client.get("/pictures/")).status == 200
    assert (directory / "my cat.PNG").read_bytes() == b"second"
    async with open_client(app()) as client:  # as after a restart
        assert (await client.get(target)).body == b"second"


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/pictures/page.html", {}, 415),
        ("/pictures/png", {}, 415),
        ("/pictures/..%2Fcat.png", {}, 404),
        ("/pictures/cat.png", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/pictures/cat.png", {"If-Match": '"another"'}, 412),
    ],
)
async def test_harmful_uploads_are_rejected(
    target: str, fields: dict[str, str], status: int, directory: Path
) -> None:
    async with open_client(app()) as client:
        assert (await client.post(target, fields, b"picture")).status == status
        assert (await client.put("/pictures/cat.png", {}, b"picture")).status == 405
    assert names_in(directory) == []


async def test_page_uploads_by_post() -> None:
    async with open_client(app()) as client:
        assert 'method: "POST", body: file' in (await client.get("/")).text()
