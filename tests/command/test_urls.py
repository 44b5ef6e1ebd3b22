"""Tests of the addresses and URLs that a server prints."""

import re
import socket

import pytest

from trio_http.command import urls
from trio_http.command.urls import listening_line, own_address


@pytest.mark.parametrize(
    ("binds", "addresses", "expected"),
    [
        (  # printed once for both IPv4 and IPv6
            ["localhost:0"],
            ["127.0.0.1:81", "[::1]:81"],
            "localhost:81, reachable at http://localhost:81",
        ),
        (["127.0.0.1:0"], ["127.0.0.1:81"], "127.0.0.1:81, reachable at http://127.0.0.1:81"),
        (["[::1]:0"], ["[::1]:81"], "[::1]:81, reachable at http://[::1]:81"),
        (
            ["127.0.0.1:0", "localhost:0"],
            ["127.0.0.1:81", "127.0.0.1:82"],
            "127.0.0.1:81, 127.0.0.1:82, reachable at http://127.0.0.1:81, http://127.0.0.1:82",
        ),
        (  # one URL for both families
            [":81"],
            ["0.0.0.0:81", "[::]:81"],
            "0.0.0.0:81, [::]:81, reachable at http://198.51.100.7:81",
        ),
    ],
)
def test_listening_line_names_addresses_and_urls(
    monkeypatch: pytest.MonkeyPatch, binds: list[str], addresses: list[str], expected: str
) -> None:
    monkeypatch.setattr(urls, "own_address", lambda: "198.51.100.7")
    assert listening_line(binds, addresses) == f"[SERVER STARTED] Listening on {expected}"


def test_own_address_belongs_to_this_machine() -> None:
    address = own_address()
    with socket.create_server((address, 0)):
        assert re.fullmatch(r"localhost|\d+\.\d+\.\d+\.\d+", address)


def test_own_address_without_a_route_is_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "_ELSEWHERE", ("256.0.0.1", 9))
    assert own_address() == "localhost"
