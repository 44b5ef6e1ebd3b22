"""Configuration of all tests: ``--no-plain``, skips on a build machine, and shared fixtures.

``pytest --no-plain`` runs the tests without the fast path past h11.
"""

import os
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from trio_http.file_server import beneath_root
from trio_http.semantics.behavior import Behavior


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-plain", action="store_true", help="leave every exchange to h11")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-plain"):
        # Every ``Behavior`` of a test is made from these defaults.
        arguments = Behavior.__init__.__defaults__
        assert arguments is not None
        *others, fast_path = arguments
        assert fast_path is True
        Behavior.__init__.__defaults__ = (*others, False)


# The end of the reason for which a test is skipped if a program is missing.
MISSING = " is not installed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail tests that lack a program on a build machine, which must have it."""
    report = yield
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if reason.endswith(MISSING):
            report.outcome = "failed"
            report.longrepr = f"{reason}, and this is a build machine (CI is set)"
    return report


@pytest.fixture
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end and the client's of a local connection, both non-blocking."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.settimeout(0)
        yield ours, theirs


@pytest.fixture
def no_descriptors_left() -> Callable[[], AbstractContextManager[None]]:
    """Return a context manager within which this process cannot open anything."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def within() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = [os.open(os.devnull, os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 50, hard))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.dup(taken[0]))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)

    return within


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The same as ``socket_pair`` over TCP, because only TCP has resets."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as theirs,
    ):
        ours, _ = listening.accept()
        with ours:
            ours.settimeout(0)
            theirs.settimeout(0)
            yield ours, theirs


@pytest.fixture
def slow_pair(
    socket_pair: tuple[socket.socket, socket.socket],
) -> tuple[socket.socket, socket.socket]:
    """Our end and the client's, of which ours is writable only after a client has read much.

    They are no TCP sockets: of these, an acknowledgement may take longer than a clock that
    jumps.
    """
    socket_pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 512 * 1024)
    return socket_pair


@pytest.fixture
def public() -> Iterator[Path]:
    """An empty directory that every user can access."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture(params=["descriptors", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Open the entries of directories in either way, whatever this system supports."""
    monkeypatch.setattr(beneath_root, "RELATIVE", request.param == "descriptors")
    return str(request.param)
