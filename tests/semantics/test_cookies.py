"""Tests of parsing and writing cookies."""

import re
from dataclasses import FrozenInstanceError, replace
from http.cookies import SimpleCookie
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.cookies import MOST_COOKIES, Cookie, parse_cookies
from trio_http.semantics.headers import Headers

# RFC 6265 4.1.1
NAMES = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", fullmatch=True)
OCTETS = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in '",;\\']
VALUES = st.text(st.sampled_from(OCTETS))

# Received cookies


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("a=1;\tb=2 ; c=3", {"a": "1", "b": "2", "c": "3"}),
        ("", {}),
        (";;", {}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        # RFC 6265 5.4: cookies with longer paths come first, and those count.
        ("a=near; a=far", {"a": "near"}),
        ("a=1; A=2", {"a": "1", "A": "2"}),
        ('a="1"', {"a": "1"}),
        ('a=""', {"a": ""}),
        # 4.1.1: quotes come in pairs, or else belong to the value
        ('a="1', {"a": '"1'}),
        ('a=1"', {"a": '1"'}),
        ('a="', {"a": '"'}),
        ('a="\\""', {"a": '\\"'}),
        ('a="1;2"', {"a": '"1'}),  # quotes do not protect a semicolon
        ("a", {}),  # these have no name, so no program can look them up:
        ("=a", {}),
        # If these counted, an attacker could set cookies with a trusted prefix.
        ("=__Host-a=1", {}),
        ("\u2000__Host-a=1", {"\u2000__Host-a": "1"}),
        ("a=\udcff", {"a": "\udcff"}),
        ("a=1, b=2", {"a": "1, b=2"}),
    ],
)
def test_received_cookies_are_parsed(field: str, expected: dict[str, str]) -> None:
    assert parse_cookies(field) == expected


def test_more_than_500_cookies_raise_value_error() -> None:
    names = [f"{number}=x" for number in range(MOST_COOKIES)]
    assert len(parse_cookies("; ".join(names))) == MOST_COOKIES
    with pytest.raises(ValueError, match="more than 500 cookies"):
        parse_cookies("; ".join([*names, "a=b"]))


@settings(deadline=None)
@given(st.text(st.sampled_from('ab=;" \t\\,\udcff')) | st.text())
def test_arbitrary_fields_are_parsed(field: str) -> None:
    for name, value in parse_cookies(field).items():
        assert name
        assert ";" not in name + value
        assert "=" not in name


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES))
def test_set_cookies_are_parsed_back(cookies: dict[str, str]) -> None:
    texts = [str(cookie_of(name, value)) for name, value in cookies.items()]
    # RFC 6265 5.4: the field that a browser sends.
    field = "; ".join(text.partition(";")[0] for text in texts)
    assert parse_cookies(field) == cookies


def cookie_of(name: str, value: str) -> Cookie:
    return Cookie(name, value)


# Cookies that are set


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        (Cookie("a", "1"), "a=1; Path=/; HttpOnly; Secure; SameSite=Lax"),
        (Cookie("a", ""), "a=; Path=/; HttpOnly; Secure; SameSite=Lax"),
        (
            Cookie("a", "1", 3600, "/admin", "example.org", frozenset(), "Strict"),
            "a=1; Max-Age=3600; Domain=example.org; Path=/admin; SameSite=Strict",
        ),
        (  # 5.2.2: deletes the cookie
            Cookie("a", "", max_age=0),
            "a=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax",
        ),
        # 5.2.4: without a path, the page's path is used
        (Cookie("a", "1", path=""), "a=1; HttpOnly; Secure; SameSite=Lax"),
        (
            Cookie("a", "1", flags=frozenset({"Secure", "Partitioned"}), same_site="None"),
            "a=1; Path=/; Partitioned; Secure; SameSite=None",
        ),
        (Cookie("__Host-a", "1"), "__Host-a=1; Path=/; HttpOnly; Secure; SameSite=Lax"),
    ],
)
def test_cookie_is_written_with_its_attributes(cookie: Cookie, expected: str) -> None:
    assert str(cookie) == expected


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "é", "a\r\n", "\ud800", '"a"'])
def test_cookie_name_that_is_not_a_token_raises_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid cookie name|surrogates"):
        Cookie(name, "1")


@pytest.mark.parametrize(
    "value", ["a b", "a;b", "a,b", 'a"', "\\", "é", "a\n", "a\r\nSet-Cookie: b=1", "\0", "\x7f"]
)
def test_cookie_value_that_browsers_change_raises_value_error(value: str) -> None:
    with pytest.raises(ValueError, match="not a valid cookie value"):
        Cookie("a", value)


@pytest.mark.parametrize("text", ["/; Secure", "/\r\n", "/é", "/\0"])
def test_attributes_with_separators_raise_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid cookie attribute"):
        Cookie("a", "1", path=text)
    with pytest.raises(ValueError, match="not a valid cookie attribute"):
        Cookie("a", "1", domain=text)


def test_relative_path_raises_value_error() -> None:
    # RFC 6265 5.2.4: browsers would ignore it and use the path of the page.
    with pytest.raises(ValueError, match="not a valid cookie path"):
        Cookie("a", "1", path="admin")


@pytest.mark.parametrize(
    "insecure",
    [
        {"same_site": "None"},
        {"flags": frozenset({"Partitioned"})},
        {"name": "__Secure-a"},
        {"name": "__Host-a"},
        {"name": "__host-a"},  # RFC 6265bis: in any case
    ],
)
def test_cookies_that_need_tls_raise_value_error_without_secure(insecure: dict[str, Any]) -> None:
    plain = Cookie("a", "1", flags=frozenset())
    with pytest.raises(ValueError, match="without Secure"):
        replace(plain, **insecure)
    flags = insecure.get("flags", frozenset()) | {"Secure"}
    assert "Secure" in str(replace(plain, **(insecure | {"flags": flags})))


@pytest.mark.parametrize("wider", [{"path": "/admin"}, {"path": ""}, {"domain": "example.org"}])
def test_host_prefix_requires_root_path_and_no_domain(wider: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unless path is"):
        replace(Cookie("__Host-a", "1"), **wider)
    assert str(replace(Cookie("__Secure-a", "1"), **wider)).startswith("__Secure-a=1; ")


@settings(deadline=None)
@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_arbitrary_cookies_are_one_line_or_raise_value_error(
    name: str, value: str, path: str
) -> None:
    try:
        text = str(Cookie(name, value, path=path))
    except ValueError:
        return
    assert Headers([("Set-Cookie", text)])["Set-Cookie"] == text
    assert re.fullmatch("[ -~]+", text)
    assert len(text.split(";")) == 4 + bool(path)


@settings(deadline=None)
@given(st.from_regex("[a-z]+", fullmatch=True), st.from_regex("[a-z0-9]*", fullmatch=True))
def test_written_cookies_are_read_by_the_standard_library(name: str, value: str) -> None:
    (morsel,) = SimpleCookie(str(Cookie(f"x-{name}", value, 5))).values()
    assert (morsel.key, morsel.value, morsel["max-age"]) == (f"x-{name}", value, "5")
    assert (morsel["path"], morsel["httponly"], morsel["secure"]) == ("/", True, True)


def test_cookies_are_frozen() -> None:
    cookie = Cookie("a", "1")
    with pytest.raises(FrozenInstanceError):
        cookie.value = "2"  # type: ignore[misc] # what is tested
    assert cookie == Cookie("a", "1")
    assert hash(cookie) == hash(Cookie("a", "1"))
