"""Hosts and origins: which are the same, which are loopback, and whose pages are our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.semantics.headers import Headers
from trio_http.semantics.origins import (
    LONGEST,
    Authority,
    Origin,
    host_named,
    is_from_browser,
    is_loopback,
    is_same_origin,
)

# Hosts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", Authority("localhost")),
        ("localhost:4221", Authority("localhost", 4221)),
        ("LocalHost.:80", Authority("localhost", 80)),  # the root's dot
        ("test:", Authority("test")),  # RFC 3986 3.2.3: a port may be empty
        ("test:0", Authority("test", 0)),
        ("test:00080", Authority("test", 80)),
        ("127.0.0.1:1", Authority("127.0.0.1", 1)),
        ("[::1]", Authority("[::1]")),
        ("[0:0:0:0:0:0:0:1]:80", Authority("[::1]", 80)),  # RFC 5952
        ("[2001:DB8::0:1]", Authority("[2001:db8::1]")),
        ("a_b-c.d~e", Authority("a_b-c.d~e")),
        # It could be decoded, but no browser sends it, and it is not in any list.
        ("l%6Fcalhost", Authority("l%6fcalhost")),
    ],
)
def test_a_host_and_a_port(text: str, expected: Authority) -> None:
    assert Authority.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
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
def test_what_is_not_a_host(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whoever finds it says what it is
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
def test_a_host_that_a_person_names(name: str, expected: str) -> None:
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
def test_what_nobody_can_name_a_host(name: str) -> None:
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
        ("localhost.localdomain", False),  # somebody's, if that is set up
        ("0.0.0.0", False),  # noqa: S104 - nothing listens on it
        ("[::]", False),
        ("10.0.0.1", False),
        # Ways to write 127.0.0.1 that browsers put right before they send it.
        ("127.1", False),
        ("0x7f.0.0.1", False),
        ("2130706433", False),
        ("127.0.0.01", False),
        ("[fe80::1]", False),
    ],
)
def test_what_is_this_machine_for_everybody(host: str, expected: object) -> None:
    assert is_loopback(host) is expected


# Origins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://test", Origin("http", "test", 80)),
        ("https://test", Origin("https", "test", 443)),
        ("http://test:8080", Origin("http", "test", 8080)),
        ("https://test:80", Origin("https", "test", 80)),
        ("HTTPS://Test:443", Origin("https", "test", 443)),
        ("http://[0::1]:1", Origin("http", "[::1]", 1)),
        ("chrome-extension://abcdef", Origin("chrome-extension", "abcdef", None)),
    ],
)
def test_an_origin(text: str, expected: Origin) -> None:
    assert Origin.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "test",
        "//test",
        "http:test",
        "http://",
        "http://test/",
        "http://test/path",
        "http://test?",
        "http://user@test",
        "http://test http://test",
        "http://test, http://test",
        "http://test:99999",
        "file://",
        "1http://test",
        "http://" + "a." * 15000 + "a",
        " http://test",
    ],
)
def test_what_is_not_an_origin(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Origin.parse(text)


@given(
    st.sampled_from(["http", "https"]),
    st.sampled_from(["test", "a.test", "[::1]", "127.0.0.1"]),
    st.none() | st.sampled_from([80, 443, 4221]),
)
def test_an_origin_is_told_by_scheme_host_and_port(
    scheme: str, host: str, port: int | None
) -> None:
    origin = Origin.of(scheme, Authority(host, port))
    assert Origin.parse(f"{scheme}://{host}:{'' if port is None else port}") == origin
    default = {"http": 80, "https": 443}[scheme]
    assert (origin == Origin.of("http", Authority("test"))) is (
        (scheme, host, port or default) == ("http", "test", 80)
    )


# Requests


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], False),
        (["Host", "User-Agent", "Referer"], False),
        (["Origin"], True),
        (["sec-fetch-site"], True),
        (["Sec-Fetch-Mode"], False),
    ],
)
def test_what_only_a_browser_sends(names: list[str], expected: object) -> None:
    assert is_from_browser(Headers([(name, "x") for name in names])) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], True),  # not a browser
        ([("Sec-Fetch-Site", "same-origin")], True),
        ([("Sec-Fetch-Site", "none")], True),  # by the user's own hand
        ([("Sec-Fetch-Site", "same-site")], False),  # another port, or a neighbour
        ([("Sec-Fetch-Site", "cross-site")], False),
        ([("Sec-Fetch-Site", "cross-site"), ("Origin", "http://test:4221")], False),
        ([("Sec-Fetch-Site", "")], False),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], False),
        ([("Sec-Fetch-Site", "sideways")], False),
        # A proxy may have changed Host or speak TLS for us; what the browser compared counts.
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "https://public.test")], True),
        ([("Origin", "http://test:4221")], True),
        ([("Origin", "http://TEST.:4221")], True),
        ([("Origin", "http://test")], False),
        ([("Origin", "http://test:4222")], False),
        ([("Origin", "https://test:4221")], False),
        ([("Origin", "ws://test:4221")], False),
        ([("Origin", "http://test.evil:4221")], False),
        ([("Origin", "http://eviltest:4221")], False),
        ([("Origin", "http://test:4221@evil")], False),
        ([("Origin", "http://evil")], False),
        ([("Origin", "test:4221")], False),
        ([("Origin", "http://test:4221"), ("Origin", "http://evil")], False),
        ([("Origin", "http://test:4221 http://evil")], False),
        ([("Origin", "null")], False),  # RFC 6454 7.3: from somewhere that is not told
        ([("Origin", "")], False),
    ],
)
def test_which_requests_come_from_our_own_pages(
    fields: list[tuple[str, str]], expected: object
) -> None:
    assert is_same_origin(Headers([("Host", "test:4221"), *fields]), "http") is expected


@pytest.mark.parametrize(
    ("scheme", "host", "origin", "expected"),
    [
        ("http", "test", "http://test", True),
        ("http", "test", "http://test:80", True),
        ("http", "test:80", "http://test", True),
        ("http", "test", "https://test", False),
        ("http", "test:443", "https://test", False),
        ("https", "test", "https://test", True),
        ("https", "test:443", "https://test", True),
        ("https", "test", "https://test:443", True),
        ("https", "test", "http://test", False),
        ("https", "test:80", "http://test", False),
        ("http", "[::1]:80", "http://[0:0::1]", True),
        ("http", "", "http://", False),
        ("http", "", "http://test", False),
        ("http", "?", "http://?", False),
    ],
)
def test_the_scheme_and_its_port_count(
    scheme: str, host: str, origin: str, expected: object
) -> None:
    headers = Headers([("Host", host), ("Origin", origin)])
    assert is_same_origin(headers, scheme) is expected


def test_without_a_host_an_origin_is_another() -> None:
    assert not is_same_origin(Headers({"Origin": "http://test"}), "http")
