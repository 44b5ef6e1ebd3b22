"""The events of a server and the default report."""

import logging

import pytest

from trio_http.http1.server_events import (
    Connected,
    Crowded,
    Disconnected,
    Ending,
    Failure,
    NotAccepting,
    Record,
    ServerEvent,
    report_failures,
)


def test_failure_is_logged_with_its_exception(caplog: pytest.LogCaptureFixture) -> None:
    event = Failure("127.0.0.1:80", b"GET /caf\xe9 HTTP/1.1", ValueError("the app's own text"))
    report_failures(event)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trio_http", logging.ERROR)
    # The client wrote the line. Quoted, it cannot affect a terminal or the format of the log.
    assert record.getMessage() == "127.0.0.1:80 'GET /café HTTP/1.1' failed"
    assert record.exc_info is not None
    assert record.exc_info[1] is event.error
    assert "the app's own text" in caplog.text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Crowded(50), "all 50 connections are in use"),
        (
            NotAccepting(OSError(24, "Too many open files")),
            "cannot accept connections: [Errno 24] Too many open files",
        ),
    ],
)
def test_shortage_is_logged_as_warning(
    event: ServerEvent, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    report_failures(event)
    assert caplog.record_tuples == [("trio_http", logging.WARNING, text)]


@pytest.mark.parametrize(
    "event",
    [
        Connected("local"),
        Record("local", b"GET / HTTP/1.1", None, 400, 0, 0.0, Ending.COMPLETE),
        Record("local", b"GET / HTTP/1.1", None, 200, 5, 1.5, Ending.ABORTED),
        Disconnected("local"),
    ],
)
def test_other_events_are_not_logged(event: ServerEvent, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    report_failures(event)
    assert not caplog.records


def test_events_compare_by_value_and_are_frozen() -> None:
    assert Connected("local") == Connected("local") != Connected("127.0.0.1:80")
    with pytest.raises(AttributeError):
        Connected("local").client = "another"  # type: ignore[misc]
