"""Exceptions for the errors of an exchange."""

from __future__ import annotations

from http import HTTPStatus

from trio_http.semantics.headers import Fields, Headers


class HTTPError(Exception):
    """An error that is reported to the client.

    Raised by a handler or an App before the response, it becomes the response: a line of text,
    a page or ``application/problem+json``, whichever the client prefers. It is not logged. Any
    other exception becomes a 500 without details, and its traceback is logged. Raised after the
    head of a response has been sent, it closes the connection.

    Args:
        status: a status code of 400 or more.
        detail: a short text for people, sent unchanged, so without secrets or markup.
        headers: further header fields, such as ``Retry-After``.

    Raises:
        ValueError: a header field is malformed.
    """

    def __init__(self, status: int, detail: str = "", headers: Fields = ()) -> None:
        super().__init__(status, detail)
        self.status: int = status
        self.detail: str = detail
        self.headers: Headers = Headers(headers)


class ClientDisconnected(Exception):  # noqa: N818 - an event of the network, not a fault
    """The client has left during an exchange, so no response can reach it.

    Reading a request body and sending a response raise it. There is no need to catch it: the
    server ends the exchange, and does not log it as a failure.
    """


# Before 3.13, Python has the phrases of an older RFC.
_RENAMED = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reason_of(status: int) -> str:
    """Return the reason phrase of a status code (RFC 9110 15), or ``""`` for an unknown code."""
    if status in _RENAMED:
        return _RENAMED[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
