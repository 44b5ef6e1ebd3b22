"""Tests of the addresses and names at which other machines can reach a server."""

import pytest

from trio_http.command.exposure import enforced_hosts, reachable_from_outside


@pytest.mark.parametrize(
    ("binds", "expected"),
    [
        (["localhost:4221"], None),
        (["127.0.0.1:0", "[::1]:0"], None),
        (["127.255.0.1:80"], None),
        (["0.0.0.0:80"], "0.0.0.0:80"),
        (["[::]:80"], "[::]:80"),
        ([":80"], ":80"),
        (["localhost:80", "10.0.0.1:81", ":82"], "10.0.0.1:81"),
        (["localhost.test:80"], "localhost.test:80"),  # may resolve to any address
        (["[2001:db8::1]:80"], "[2001:db8::1]:80"),
    ],
)
def test_first_address_reachable_from_outside_is_returned(
    binds: list[str], expected: str | None
) -> None:
    assert reachable_from_outside(binds) == expected


@pytest.mark.parametrize(
    ("binds", "names", "expected"),
    [
        (["localhost:80"], [], []),
        (["localhost:80"], ["test"], ["test"]),
        (["127.0.0.1:80", "[::1]:80"], [], []),
        ([":80"], [], None),
        ([":80"], ["test", "other"], ["test", "other"]),
        (["localhost:80", ":80"], [], None),
    ],
)
def test_host_names_are_enforced_if_given_or_loopback_only(
    binds: list[str], names: list[str], expected: list[str] | None
) -> None:
    assert enforced_hosts(binds, names) == expected
