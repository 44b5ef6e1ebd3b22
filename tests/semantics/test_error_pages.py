"""Tests of the responses that report errors."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.error_pages import error_response
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.response import Compress, Response

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
PROBLEM = "application/problem+json"


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


# The format


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),  # curl, and most programs
        ("text/*", TEXT),
        ("text/html", HTML),
        # Firefox
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("text/html;charset=utf-8", HTML),
        ("application/json", PROBLEM),
        ("application/problem+json", PROBLEM),
        ("application/*", PROBLEM),
        ("application/json, text/html;q=0.9", PROBLEM),
        ("application/json;q=0.9, text/html", HTML),
        ("application/json, text/plain, */*", TEXT),
        ("text/plain;q=0, */*", HTML),
        # A client that accepts none of these is told anyway (RFC 9110 15.5.7).
        ("image/png", TEXT),
        ("*/*;q=0", TEXT),
        ("nonsense", TEXT),
    ],
)
def test_format_follows_accept(accept: str | None, expected: str) -> None:
    response = error_response(HTTPError(404, "no such thing"), accept)
    assert response.status == 404
    assert response.headers.values("Content-Type") == [expected]


@pytest.mark.parametrize("accept", [None, "text/html", "application/json"])
def test_every_format_has_vary_accept(accept: str | None) -> None:
    assert error_response(HTTPError(404), accept).headers["Vary"] == "Accept"


def test_errors_are_never_compressed() -> None:
    assert error_response(HTTPError(404)).compress is Compress.NEVER


# Text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HTTPError(404), "404 Not Found\n"),
        (HTTPError(404, "no such thing"), "404 Not Found: no such thing\n"),
        (HTTPError(422, "café"), "422 Unprocessable Content: café\n"),
        (HTTPError(499), "499\n"),  # an unregistered status has no reason phrase
        (HTTPError(499, "gone"), "499: gone\n"),
    ],
)
def test_text_names_status_and_detail(error: HTTPError, expected: str) -> None:
    assert error_response(error) == Response(
        error.status,
        {"Content-Type": TEXT, "Vary": "Accept"},
        expected.encode(),
        Compress.NEVER,
    )


# Pages


class Words(HTMLParser):
    """Collects the text of a page by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self._open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - what is called
        self._open = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - what is called
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.said[self._open] = self.said.get(self._open, "") + data


def said(error: HTTPError) -> dict[str, str]:
    words = Words(body_of(error_response(error, "text/html")).decode()).said
    return {tag: text for tag, text in words.items() if text.strip()}


def test_page_names_status_and_detail() -> None:
    assert said(HTTPError(422, "café {title}")) == {
        "title": "422 Unprocessable Content",
        "h1": "422 Unprocessable Content",
        "p": "café {title}",
    }


def test_page_without_detail_has_no_paragraph() -> None:
    page = body_of(error_response(HTTPError(404), "text/html"))
    assert page.endswith(b"<h1>404 Not Found</h1>\n</html>\n")


def test_page_has_doctype_and_charset() -> None:
    page = body_of(error_response(HTTPError(404, "gone"), "text/html"))
    assert page.startswith(b"<!doctype html>\n")
    assert b'<meta charset="utf-8">' in page
    assert page.endswith(b"<h1>404 Not Found</h1>\n<p>gone</p>\n</html>\n")


def test_detail_is_escaped_in_pages() -> None:
    page = body_of(error_response(HTTPError(400, "<script>alert('&amp;')</script>"), "text/html"))
    assert b"<script" not in page
    assert said(HTTPError(400, "<b>&amp;"))["p"] == "<b>&amp;"


# Problem details (RFC 9457)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HTTPError(404), {"status": 404, "title": "Not Found"}),
        (
            HTTPError(422, 'a "quoted" café'),
            {"status": 422, "title": "Unprocessable Content", "detail": 'a "quoted" café'},
        ),
        # RFC 9457 4.2.1: without a type, the title is the reason phrase, if there is one.
        (HTTPError(499, "gone"), {"status": 499, "detail": "gone"}),
    ],
)
def test_problem_names_status_and_detail(error: HTTPError, expected: object) -> None:
    assert json.loads(body_of(error_response(error, "application/json"))) == expected


# The error's own fields


def test_repeated_fields_of_the_error_are_sent() -> None:
    challenges = [("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Digest")]
    response = error_response(HTTPError(401, "who is it?", challenges))
    assert list(response.headers) == [("Content-Type", TEXT), *challenges, ("Vary", "Accept")]


def test_content_type_of_the_error_is_replaced() -> None:
    error = HTTPError(400, "{}", {"content-type": "application/json"})
    assert error_response(error).headers.values("Content-Type") == [TEXT]


def test_vary_of_the_error_is_kept() -> None:
    response = error_response(HTTPError(403, headers={"Vary": "Cookie"}))
    assert response.headers["Vary"] == "Cookie, Accept"


# Arbitrary errors


@settings(deadline=None)
@given(
    st.integers(100, 999),
    st.text(st.characters()) | st.just("\udcff\ud800"),  # surrogates, which UTF-8 cannot encode
    st.sampled_from([None, "text/html", "application/json"]),
)
def test_arbitrary_errors_become_valid_responses(
    status: int, detail: str, accept: str | None
) -> None:
    response = error_response(HTTPError(status, detail), accept)
    text = body_of(response).decode("utf-8")
    assert text.endswith("\n")
    assert str(status) in text
    assert response.headers == Headers(list(response.headers))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_detail_is_sent_unchanged(detail: str) -> None:
    problem = json.loads(body_of(error_response(HTTPError(400, detail), "application/json")))
    assert problem.get("detail", "") == detail
    text = body_of(error_response(HTTPError(400, detail))).decode()
    assert text == ("400 Bad Request" + (f": {detail}" if detail else "") + "\n")
