r"""A client in memory for tests of apps, without sockets and without waiting for time-outs.

    async def test_hello(autojump_clock):
        async with open_client(app) as client:
            response = await client.get("/hello/ada")
            assert response.text() == "hello, ada\n"

The clock is a fixture of pytest-trio: whenever all tasks sleep or wait for a time-out, it jumps
to the next moment at which a task continues.
"""

from trio_http.testing.client import Client as Client
from trio_http.testing.client import open_client as open_client
from trio_http.testing.received import (
    OpenResponse as OpenResponse,
)
from trio_http.testing.received import (
    ReceivedResponse as ReceivedResponse,
)
