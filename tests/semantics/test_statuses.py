"""Tests of statuses without content: as the server frames them and clients read them."""

import pytest

from trio_http.http1.exchange import Exchange
from trio_http.semantics.response import Response
from trio_http.semantics.statuses import WITHOUT_CONTENT, WITHOUT_LENGTH
from trio_http.testing import open_client


@pytest.mark.parametrize("status", [200, 204, 205, 206, 304, 404])
async def test_responses_without_content_end_with_their_heads(status: int) -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(status, {"Content-Type": "text/plain"}, b"content"))

    async with open_client(app) as client:
        for _ in range(2):  # on one connection, which proves that the first has ended
            answer = await client.get("/")
            assert (answer.body == b"") is (status in WITHOUT_CONTENT)
            assert ("Content-Length" not in answer.headers) is (status in WITHOUT_LENGTH)
