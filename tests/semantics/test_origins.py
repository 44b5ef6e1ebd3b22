"""Tests of parsing origins and comparing them with the server's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.semantics.authority import Authority
from trio_http.semantics.headers import Headers
from trio_http.semantics.origins import (
    Origin,
    is_from_browser,
    is_same_origin,
)

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
def test_origins_are_parsed(text: str, expected: Origin) -> None:
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
def test_malformed_origins_raise_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Origin.parse(text)


@given(
    st.sampled_from(["http", "https"]),
    st.sampled_from(["test", "a.test", "[::1]", "127.0.0.1"]),
    st.none() | st.sampled_from([80, 443, 4221]),
)
def test_origins_are_equal_by_scheme_host_and_port(
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
def test_browsers_are_recognized_by_origin_or_sec_fetch_site(
    names: list[str], expected: object
) -> None:
    assert is_from_browser(Headers([(name, "x") for name in names])) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], True),  # not a browser
        ([("Sec-Fetch-Site", "same-origin")], True),
        ([("Sec-Fetch-Site", "none")], True),  # the user entered the URL
        ([("Sec-Fetch-Site", "same-site")], False),  # another port or subdomain
        ([("Sec-Fetch-Site", "cross-site")], False),
        ([("Sec-Fetch-Site", "cross-site"), ("Origin", "http://test:4221")], False),
        ([("Sec-Fetch-Site", "")], False),
        ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], False),
        ([("Sec-Fetch-Site", "sideways")], False),
        # A proxy may change Host or terminate TLS; the browser's comparison counts.
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
        ([("Origin", "null")], False),  # RFC 6454 7.3: an undisclosed origin
        ([("Origin", "")], False),
    ],
)
def test_same_origin_is_recognized(fields: list[tuple[str, str]], expected: object) -> None:
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
def test_same_origin_compares_scheme_and_port(
    scheme: str, host: str, origin: str, expected: object
) -> None:
    headers = Headers([("Host", host), ("Origin", origin)])
    assert is_same_origin(headers, scheme) is expected


def test_origin_without_host_is_another_origin() -> None:
    assert not is_same_origin(Headers({"Origin": "http://test"}), "http")
