"""Let people chat in their browsers, over server-sent events.

    trio-http app trio_http.examples.chat:app
    curl -N localhost:4221/messages

Open http://localhost:4221/ in a browser: each message appears in every window and in the output
of curl. All messages are in the memory of one process, so do not use ``--workers``.
"""

from collections import deque

import trio

from trio_http import (
    App,
    HTTPError,
    Request,
    Response,
    Router,
    SendEvent,
    ServerSentEvent,
    only_same_origin,
)

PAGE = """<!doctype html><title>Chat</title><ul></ul><form><input autofocus></form><script>
const list = document.querySelector("ul"), form = document.querySelector("form");
new EventSource("messages").onmessage = event =>
    list.appendChild(document.createElement("li")).textContent = event.data;
form.onsubmit = () => {
    fetch("messages", {method: "POST", body: form[0].value}).then(() => form.reset());
    return false;
};
</script>"""


class Room:
    """The latest hundred messages, numbered from 1."""

    def __init__(self) -> None:
        self.latest: deque[str] = deque(maxlen=100)
        self.count: int = 0
        self._more = trio.Event()

    def say(self, text: str) -> None:
        """Add a message and wake all listeners."""
        self.latest.append(text)
        self.count += 1
        self._more.set()
        self._more = trio.Event()

    async def after(self, number: int) -> list[tuple[int, str]]:
        """Return the messages after this one with their numbers, waiting for at least one."""
        while self.count <= number:
            await self._more.wait()
        first = self.count - len(self.latest) + 1
        return [pair for pair in enumerate(self.latest, first) if pair[0] > number]


room: Room = Room()
router: Router = Router()
app: App = only_same_origin(router)  # no other site can post in its visitors' names


@router.get("/")
async def show(request: Request) -> Response:
    """Show the page."""
    return Response.html(PAGE)


@router.post("/messages")
async def say(request: Request) -> Response:
    """Add a message; more than 1000 bytes are a 413."""
    room.say(await request.text(limit=1000))
    return Response(204)


@router.get("/messages")
async def listen(request: Request) -> Response:
    """Send all messages until the client leaves; a client that reconnects gets those it missed."""
    last = request.headers.get("Last-Event-ID") or "0"
    if not last.isdecimal() or len(last) > 15:
        raise HTTPError(400, "Last-Event-ID is not the number of a message")

    async def produce(send: SendEvent) -> None:
        heard = min(int(last), room.count)  # the room may be newer than the client
        while True:
            for number, text in await room.after(heard):
                await send(ServerSentEvent(text, id=str(number)))
                heard = number

    return Response.events(produce)
