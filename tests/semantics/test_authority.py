"""Tests of parsing hosts and ports, and of loopback names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.semantics.authority import LONGEST, Authority, host_named, is_loopback


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", Authority("localhost")),
        ("localhost:4221", Authority("localhost", 4221)),
        ("LocalHost.:80", Authority("localhost", 80)),  # the final dot of a domain name
        ("test:", Authority("test")),  # RFC 3986 3.2.3: a port may be empty
        ("test:0", Authority("test", 0)),
        ("test:00080", Authority("test", 80)),
        ("127.0.0.1:1", Authority("127.0.0.1", 1)),
        ("[::1]", Authority("[::1]")),
        ("[0:0:0:0:0:0:0:1]:80", Authority("[::1]", 80)),  # RFC 5952
        ("[2001:DB8::0:1]", Authority("[2001:db8::1]")),
        ("a_b-c.d~e", Authority("a_b-c.d~e")),
        # It could be decoded, but no browser sends it, and no list contains it.
        ("l%6Fcalhost", Authority("l%6fcalhost")),
    ],
)
def test_host_and_port_are_normalized(text: str, expected: Authority) -> None:
    assert Authority.parse(text) == expected


@pytest.mark.parametrize("port", ["0", "00000", "9", "59999", "60000", "64999", "65000", "65535"])
def test_ports_up_to_65535_are_parsed(port: str) -> None:
    assert Authority.parse(f"x:{port}").port == int(port)
    assert Authority.parse(f"[::1]:{port}").port == int(port)


@pytest.mark.parametrize("port", ["65536", "65540", "65600", "66000", "70000", "99999", "000000"])
def test_larger_or_longer_ports_raise_value_error(port: str) -> None:
    with pytest.raises(ValueError, match="not a valid host"):
        Authority.parse(f"x:{port}")


@given(st.integers(0, 70000))
def test_ports_are_parsed_exactly_up_to_65535(port: int) -> None:
    try:
        found = Authority.parse(f"x:{port}").port
    except ValueError:
        found = None
    assert found == (port if port <= 65535 else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a%zz",
        ":80",
        "a b",
        "a,b",
        "a, a",
        "user@test",
        "test/",
        "test:x",
        "test:65536",
        "test:123456",
        "test:80:80",
        "::1",
        "[::1",
        "[]",
        "[:]",
        "[1::2::3]",
        "[::1%25eth0]",
        "[::1]x",
        "é",
        "test\n",
        "a" * (LONGEST + 1),
        "[" + "1:" * 15000 + "]",
    ],
)
def test_malformed_authorities_raise_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message depends on the parser that fails
        Authority.parse(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Files.Example.ORG", "files.example.org"),
        ("files.example.org.", "files.example.org"),
        ("nas", "nas"),
        ("my_nas-2", "my_nas-2"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("192.168.1.5", "192.168.1.5"),
        ("::1", "[::1]"),
        ("[2001:DB8::0]", "[2001:db8::]"),
    ],
)
def test_host_named_returns_the_normal_form(name: str, expected: str) -> None:
    assert host_named(name) == expected
    assert Authority.parse(expected).host == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        "a:80",
        "[::1]:80",
        "[::1",
        "::1%eth0",
        "http://a",
        "a/",
        "*",
        "*.a",
        "a,b",
        "a b",
        "münchen.de",
    ],
)
def test_host_named_raises_value_error_for_other_texts(name: str) -> None:
    with pytest.raises(ValueError, match="not a domain name or an IP address"):
        host_named(name)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("app.localhost", True),  # RFC 6761 6.3
        ("127.0.0.1", True),
        ("127.255.3.4", True),
        ("[::1]", True),
        ("[::ffff:7f00:1]", True),
        ("[::ffff:8.8.8.8]", False),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("notlocalhost", False),
        ("localhost.localdomain", False),  # may be registered
        ("0.0.0.0", False),  # noqa: S104 - nothing listens on it
        ("[::]", False),
        ("10.0.0.1", False),
        # Spellings of 127.0.0.1 that browsers normalize before sending.
        ("127.1", False),
        ("0x7f.0.0.1", False),
        ("2130706433", False),
        ("127.0.0.01", False),
        ("[fe80::1]", False),
    ],
)
def test_loopback_hosts_are_recognized(host: str, expected: object) -> None:
    assert is_loopback(host) is expected
