"""Serve from within a program that does other work, too.

    python -m trio_http.examples.embedded
    curl localhost:4221/

The program counts once a second, with or without requests; ``curl`` prints the count. Ctrl-C
lets running requests finish and then stops the counting. A second Ctrl-C stops everything at
once.
"""

import signal
import sys

import trio

from trio_http import Request, Response, Router, open_listeners, serve


class Counter:
    """The main work of the program."""

    def __init__(self) -> None:
        self.count: int = 0

    async def run(self) -> None:
        """Count once a second."""
        while True:
            await trio.sleep(1)
            self.count += 1


def app_for(counter: Counter) -> Router:
    """Return an app that responds with the current count."""
    app = Router()

    @app.get("/")
    async def tell(request: Request) -> Response:
        return Response.json({"count": counter.count})

    return app


async def main(*addresses: str) -> None:
    """Count and serve until SIGINT or SIGTERM."""
    counter = Counter()
    async with trio.open_nursery() as program:
        program.start_soon(counter.run)
        # Leaving the inner nursery waits for the server, while the counting continues.
        async with trio.open_nursery() as serving:
            listeners = await open_listeners(*addresses or ["localhost:4221"])
            server = await serving.start(serve, app_for(counter), listeners)
            print("listening on", *server.addresses, flush=True)
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                await anext(signals)
            server.shutdown()
        program.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
