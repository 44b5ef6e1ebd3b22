"""What goes wrong between a client and us, as exceptions."""

from __future__ import annotations

from http import HTTPStatus

from trio_http.semantics.headers import Fields, Headers


class HTTPError(Exception):
    """The client should hear this: a status and a short text for people.

    Raised in a handler, it becomes the response. Of every other exception the
    client learns nothing but 500.
    """

    def __init__(self, status: int, detail: str = "", headers: Fields = ()) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = Headers(headers)


class ClientDisconnected(Exception):  # noqa: N818 - an event of the network, not a fault
    """The client went away in the middle of an exchange; nobody is left to answer."""


# Python's phrases for these are those of an older RFC until 3.13.
_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_of(status: int) -> str:
    """The standard phrase (RFC 9110 15), or none for a status it does not know."""
    if status in _RENAMED:
        return _RENAMED[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
