"""What is said to a client, as h11 writes it."""

import h11
import pytest

from trio_http.http1.h11_events import end_of, final_head, interim_head
from trio_http.semantics.headers import NO_FIELDS, Headers


def written(*events: h11.Event) -> bytes:
    """What a server sends that says this to a plain request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    return b"".join([connection.send(event) or b"" for event in events])


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"HTTP/1.1 200 OK"), (404, b"HTTP/1.1 404 Not Found"), (299, b"HTTP/1.1 299 ")],
)
def test_a_head_has_its_fields_in_order_and_as_they_are_spelled(status: int, line: bytes) -> None:
    head = final_head(status, ((b"X-One", b"1"), (b"x-two", b"2"), (b"Content-Length", b"0")))
    assert written(head) == line + b"\r\nX-One: 1\r\nx-two: 2\r\nContent-Length: 0\r\n\r\n"


def test_an_interim_response_is_a_head() -> None:
    hints = interim_head(103, ((b"Link", b"</a>"),))
    assert written(hints) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert written(interim_head(100, ())) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_trailers_come_behind_the_last_chunk() -> None:
    head = final_head(200, ((b"Transfer-Encoding", b"chunked"),))
    said = written(head, h11.Data(data=b"hello"), end_of(Headers({"X-Sum": "1"})))
    assert said.endswith(b"\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert written(head, end_of(NO_FIELDS)).endswith(b"\r\n\r\n0\r\n\r\n")


def test_what_is_said_again_is_not_made_again() -> None:
    fields = ((b"Content-Length", b"0"),)
    assert final_head(200, fields) is final_head(200, fields)
    assert end_of(NO_FIELDS) is end_of(Headers())
