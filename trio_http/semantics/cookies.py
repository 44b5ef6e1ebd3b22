"""Cookies, as servers set them and browsers return them (RFC 6265)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from trio_http.semantics.headers import bytes_of
from trio_http.semantics.tokens import is_token

# RFC 6265 4.1.1: without spaces, quotes, commas, semicolons and backslashes.
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")


# The maximum number of cookies in a request. Chrome and Firefox keep at most 180 per site.
MOST_COOKIES = 500


def parse_cookies(field: str) -> dict[str, str]:
    """Return the cookies of a ``Cookie`` field.

    Of a repeated name the first counts, which has the most specific path.

    Raises:
        ValueError: there are more than 500. Ignoring some of them could change the user that
            they identify.
    """
    if field.count(";") >= MOST_COOKIES:
        raise ValueError(f"more than {MOST_COOKIES} cookies")
    cookies: dict[str, str] = {}
    for pair in field.split(";"):
        name, equals, value = pair.strip(" \t").partition("=")
        if equals and name:
            cookies.setdefault(name, _unquoted(value))
    return cookies


def _unquoted(value: str) -> str:
    # RFC 6265 4.1.1: quotes come in pairs, and nothing is escaped between them.
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set by ``Response.with_cookie`` (RFC 6265 4.1).

    The defaults are the safe ones: browsers send the cookie over TLS or to localhost only, hide
    it from scripts, and do not send it with forms of other sites. On a site without TLS,
    browsers therefore drop it silently: pass ``flags`` without ``Secure``. Nothing is signed or
    encrypted: a client can send back any value.

    Args:
        name: a token (RFC 9110 5.6.2).
        value: printable ASCII without spaces, quotes, commas, semicolons and backslashes.
            Encode other values first, for example by ``urllib.parse.quote``.
        max_age: seconds until the browser deletes the cookie. 0 deletes it at once, if name,
            path and domain are those with which it was set. None, the default, keeps it until
            the browser is closed.
        path: the cookie is sent for this path and all paths below it.
        domain: the cookie is sent to this domain and its subdomains. Empty, the default, means
            only the host that set it.
        flags: which of ``Secure``, ``HttpOnly`` and ``Partitioned`` to set.
        same_site: ``"Lax"``, the default, sends the cookie if a user follows a link from
            another site, ``"Strict"`` never sends it from another site, ``"None"`` always does.

    Raises:
        ValueError: the name, the value, the path or the domain cannot be sent, or browsers
            would drop the cookie.
    """

    name: str
    value: str
    max_age: int | None = None
    path: str = "/"
    domain: str = ""
    flags: frozenset[Literal["Secure", "HttpOnly", "Partitioned"]] = frozenset(
        {"Secure", "HttpOnly"}
    )
    same_site: Literal["Strict", "Lax", "None"] = "Lax"

    def __post_init__(self) -> None:
        if not is_token(bytes_of(self.name)):
            raise ValueError(f"not a valid cookie name: {self.name!r}")
        if not _VALUE.fullmatch(self.value):
            raise ValueError(f"not a valid cookie value: {self.value!r}")
        for text in (self.path, self.domain):
            if not _ATTRIBUTE.fullmatch(text):
                raise ValueError(f"not a valid cookie attribute: {text!r}")
        if self.path and not self.path.startswith("/"):
            raise ValueError(f"not a valid cookie path: {self.path!r}")
        self._check_what_browsers_drop()

    def _check_what_browsers_drop(self) -> None:
        # Browsers drop such cookies silently (the storage model of RFC 6265bis, and CHIPS).
        name = self.name.lower()
        needs_tls = (
            self.same_site == "None"
            or "Partitioned" in self.flags
            or name.startswith(("__secure-", "__host-"))
        )
        if needs_tls and "Secure" not in self.flags:
            raise ValueError(f"browsers drop this cookie without Secure: {self.name}")
        if name.startswith("__host-") and (self.path != "/" or self.domain):
            raise ValueError(
                f"browsers drop this cookie unless path is / and domain is empty: {self.name}"
            )

    def __str__(self) -> str:
        parts = [f"{self.name}={self.value}"]
        if self.max_age is not None:
            parts.append(f"Max-Age={self.max_age}")
        if self.domain:
            parts.append(f"Domain={self.domain}")
        if self.path:
            parts.append(f"Path={self.path}")
        return "; ".join([*parts, *sorted(self.flags), f"SameSite={self.same_site}"])
