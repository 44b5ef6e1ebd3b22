"""Tests of the smallest example."""

import pytest

from trio_http.examples.hello import app
from trio_http.testing import open_client


async def test_greeting_names_the_person() -> None:
    async with open_client(app) as client:
        assert (await client.get("/hello/Ada")).text() == "hello, Ada\n"
        response = await client.get("/hello/Ada?greeting=good+morning")
        assert response.text() == "good morning, Ada\n"


@pytest.mark.parametrize(
    ("cookie", "visits"),
    [("", 1), ("visits=1", 2), ("visits=x", 1), (f"visits={'9' * 5000}", 1)],
)
async def test_visits_are_counted_in_the_browser(cookie: str, visits: int) -> None:
    async with open_client(app) as client:
        response = await client.get("/", {"Cookie": cookie})
        assert response.text().endswith(f"<p>This is visit {visits}.")
        assert response.headers["Set-Cookie"].startswith(f"visits={visits}; ")


async def test_square_is_json_and_too_large_number_gets_422() -> None:
    async with open_client(app) as client:
        assert (await client.get("/squares/12")).json() == {"number": 12, "square": 144}
        assert (await client.get("/squares/x")).status == 404
        response = await client.get("/squares/1000001")
        assert response.text() == "422 Unprocessable Content: numbers up to a million only\n"
