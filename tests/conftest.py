"""``pytest --no-plain`` runs the tests without the short way past h11; sockets for all tests."""

import socket
from collections.abc import Iterator

import pytest

from trio_http.semantics.limits import Limits


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-plain", action="store_true", help="leave every exchange to h11")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-plain"):
        # Whatever limits a test makes, it makes from these defaults.
        arguments = Limits.__init__.__defaults__
        assert arguments is not None
        *others, plain = arguments
        assert plain is True
        Limits.__init__.__defaults__ = (*others, False)


@pytest.fixture
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the client's, neither of which ever blocks."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.settimeout(0)
        yield ours, theirs


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The same with a network between them, which alone knows of resets."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as theirs,
    ):
        ours, _ = listening.accept()
        with ours:
            ours.settimeout(0)
            theirs.settimeout(0)
            yield ours, theirs
