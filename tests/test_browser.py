"""The page of a directory in a real browser: its appearance, and the effect of its buttons.

The browser is headless Chromium, controlled over its debugging protocol. The tests are skipped
if it is not installed.
"""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from trio_http.file_server.app import files
from trio_http.file_server.permissions import Permissions
from trio_http.serving.listeners import open_listeners
from trio_http.serving.server import Server, serve

# Seconds within which everything in these tests happens, on a machine however slow.
PATIENCE = 60

# Most of its characters that are not letters are escaped in URLs, and some in HTML.
NAME = "größer & 100 %.txt"
FIRST, SECOND, THERE = b"first\r\n\0\xff", b"second", b"there\n"

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--headless",
    "--no-sandbox",  # root cannot use the sandbox; this loads only the pages under test
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers have little shared memory
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

# Violations of the page's security policy are events; logged to its console, the test sees
# them.
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(event.violatedDirective, event.blockedURI);
});
"""

# The observer keeps the promise alive, and the document the observer.
UNTIL = """
new Promise((resolve) => {
  const look = () => {
    if (!(%s)) return;
    observer.disconnect();
    resolve();
  };
  const observer = new MutationObserver(look);
  observer.observe(document,
    { attributes: true, characterData: true, childList: true, subtree: true });
  look();
})
"""

ROWS = "Array.from(document.querySelectorAll('#entries a'), (link) => link.textContent)"
NEWS = "document.getElementById('news').textContent"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")


class Tab:
    """A page in the browser; ``complaints`` lists the errors that the browser reports."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._session: dict[str, str] = {}
        self._loaded: set[str] = set()
        self.complaints: list[Any] = []

    async def open(self) -> None:
        target = await self.command("Target.createTarget", url="about:blank")
        self._session = await self.command("Target.attachToTarget", **target, flatten=True)
        for domain in ("Page", "Runtime", "Log", "DOM"):
            await self.command(f"{domain}.enable")
        await self.command("Page.setLifecycleEventsEnabled", enabled=True)
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=TELL_VIOLATIONS)

    async def command(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters, **self._session}
        await self._socket.send_message(json.dumps(call))
        while True:
            message = await self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def visit(self, address: str) -> None:
        loader = (await self.command("Page.navigate", url=address))["loaderId"]
        while loader not in self._loaded:  # the empty page may still be loading
            await self._receive()
        self._loaded.clear()

    async def followed(self) -> None:
        """Wait for the page that follows the current one."""
        while not self._loaded:
            await self._receive()

    async def evaluate(self, expression: str) -> Any:
        answer = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        await self.evaluate(UNTIL % condition)

    async def press(self, selector: str) -> None:
        """Press a button by key, which requires that it is visible and reachable.

        Clicks of a mouse were tried first: under load, one in a hundred had no effect.
        """
        await self.command("DOM.focus", **await self._find(selector))
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **enter, text="\r")
        await self.command("Input.dispatchKeyEvent", type="keyUp", **enter)

    async def choose(self, file: Path) -> None:
        await self.command("DOM.setFileInputFiles", **await self._find("#file"), files=[str(file)])

    async def _find(self, selector: str) -> dict[str, int]:
        document = await self.command("DOM.getDocument")
        root = document["root"]["nodeId"]
        found: dict[str, int] = await self.command(
            "DOM.querySelector", nodeId=root, selector=selector
        )
        assert found["nodeId"], f"nothing is {selector}"
        return found

    async def _receive(self) -> Any:
        message = json.loads(await self._socket.get_message())
        match message:
            case {"method": "Page.lifecycleEvent", "params": {"name": "load", "loaderId": loader}}:
                self._loaded.add(loader)
            case {
                "method": "Log.entryAdded" | "Runtime.consoleAPICalled" | "Runtime.exceptionThrown"
            }:
                self.complaints.append(message["params"])
        return message


@asynccontextmanager
async def opened_tab(profile: Path) -> AsyncIterator[Tab]:
    """Yield a tab of a new browser; leaving the block ends the browser."""
    assert BROWSER is not None
    run = partial(
        trio.run_process,
        [BROWSER, *FLAGS, f"--user-data-dir={profile}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,  # a signal ends it
    )
    # The nursery runs the browser, and the task that keeps its pipe from filling up.
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(run)
        assert process.stderr is not None
        address = await debugging_address(process.stderr)
        nursery.start_soon(read_away, process.stderr)
        async with open_websocket_url(address) as socket:
            tab = Tab(socket)
            await tab.open()
            yield tab
        nursery.cancel_scope.cancel()


async def debugging_address(output: trio.abc.ReceiveStream) -> str:
    said = b""
    async for chunk in output:
        said += chunk
        if found := re.search(rb"DevTools listening on (\S+)\r?\n", said):
            return found[1].decode()
    raise AssertionError(f"the browser did not start: {said.decode(errors='replace')}")


async def read_away(output: trio.abc.ReceiveStream) -> None:
    async for _ in output:
        pass


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """Yield the URL of a writable directory."""
    app = files(folder, allow=Permissions.LISTING | Permissions.WRITING)
    listeners = await open_listeners("127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(serve, app, listeners)
        yield f"http://{server.addresses[0]}/"
        nursery.cancel_scope.cancel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a file and a subdirectory."""
    folder = tmp_path / "served"
    (folder / "within").mkdir(parents=True)
    (folder / "there.txt").write_bytes(THERE)
    return folder


def make(folder: Path, content: bytes) -> Path:
    """Create a file to upload, and return its path."""
    file = folder / NAME
    file.write_bytes(content)
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def test_files_are_uploaded_replaced_and_deleted_from_the_page(
    tmp_path: Path, folder: Path
) -> None:
    with trio.fail_after(PATIENCE):
        async with served(folder) as address, opened_tab(tmp_path / "profile") as tab:
            await tab.visit(address)
            assert await tab.evaluate(ROWS) == ["within", "there.txt"]

            await tab.choose(make(tmp_path, FIRST))
            await tab.until(f"{NEWS} === '1 uploaded.'")
            assert await tab.evaluate(ROWS) == ["within", NAME, "there.txt"]
            assert contents(folder) == {NAME: FIRST, "there.txt": THERE}

            # The page asks first: until the dialog is accepted, nothing is replaced.
            await tab.choose(make(tmp_path, SECOND))
            await tab.until("document.querySelector('#transfers .asking')")
            assert contents(folder) == {NAME: FIRST, "there.txt": THERE}
            await tab.press(f"#transfers button[aria-label='Replace {NAME}']")
            await tab.until(f"{NEWS} === '1 uploaded.'")
            assert await tab.evaluate(ROWS) == ["within", NAME, "there.txt"]
            assert contents(folder) == {NAME: SECOND, "there.txt": THERE}

            # The page also asks before it deletes.
            await tab.press(f"#entries button[aria-label='Delete {NAME}']")
            await tab.until("document.getElementById('question').open")
            assert contents(folder) == {NAME: SECOND, "there.txt": THERE}
            await tab.press("#question button[value='delete']")
            await tab.until(f"{NEWS}.endsWith('was deleted.')")
            assert await tab.evaluate(ROWS) == ["within", "there.txt"]
            assert contents(folder) == {"there.txt": THERE}
            assert tab.complaints == []


# A name that the file system refuses cannot be that of a chosen file: only a script can use it.
CHOOSE_LONG = """(() => {
  const given = new DataTransfer();
  given.items.add(new File(["content"], "n".repeat(300)));
  const picker = document.getElementById("file");
  picker.files = given.files;
  picker.dispatchEvent(new Event("change"));
})()"""
EMPTY = "Promise.all(['', undefined].map((body) => fetch('./empty', { method: 'PUT', body })))"


async def test_refused_upload_is_explained_and_empty_file_is_stored(
    tmp_path: Path, folder: Path
) -> None:
    with trio.fail_after(PATIENCE):
        async with served(folder) as address, opened_tab(tmp_path / "profile") as tab:
            await tab.visit(address)
            await tab.evaluate(CHOOSE_LONG)
            await tab.until("document.querySelector('#transfers .failed')")
            note = "document.querySelector('#transfers .failed .note').textContent"
            assert "longer than the file system allows" in await tab.evaluate(note)
            # Fetch, "HTTP-network-or-cache fetch": a PUT has a Content-Length even if it is 0.
            statuses = await tab.evaluate(
                f"{EMPTY}.then((all) => all.map(({{ status }}) => status))"
            )
            assert sorted(statuses) == [201, 204]
            assert contents(folder) == {"empty": b"", "there.txt": THERE}


async def test_form_uploads_without_scripts(tmp_path: Path, folder: Path) -> None:
    with trio.fail_after(PATIENCE):
        async with served(folder) as address, opened_tab(tmp_path / "profile") as tab:
            await tab.command("Emulation.setScriptExecutionDisabled", value=True)
            await tab.visit(address)
            await tab.choose(make(tmp_path, FIRST))
            await tab.press("#upload button:not([type])")
            await tab.followed()
            await tab.command("Emulation.setScriptExecutionDisabled", value=False)
            assert await tab.evaluate("location.href") == address
            assert await tab.evaluate(ROWS) == ["within", NAME, "there.txt"]
            assert contents(folder) == {NAME: FIRST, "there.txt": THERE}
            assert tab.complaints == []
