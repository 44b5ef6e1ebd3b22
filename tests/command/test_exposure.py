"""Who can reach a server, by the addresses that it listens on, and under which names."""

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
        (["localhost.test:80"], "localhost.test:80"),  # whatever that is
        (["[2001:db8::1]:80"], "[2001:db8::1]:80"),
    ],
)
def test_who_can_reach_a_server(binds: list[str], expected: str | None) -> None:
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
def test_which_names_are_enforced(
    binds: list[str], names: list[str], expected: list[str] | None
) -> None:
    assert enforced_hosts(binds, names) == expected
