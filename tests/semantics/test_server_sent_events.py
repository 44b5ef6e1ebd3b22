"""Tests of server-sent events, as a browser parses them."""

import re
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.server_sent_events import KEEP_ALIVE, KEEP_ALIVE_AFTER, ServerSentEvent


@dataclass
class Heard:
    """An event as a listener receives it (HTML 9.2.6)."""

    data: str
    event: str = "message"
    last_id: str = ""


class Browser:
    """Parses a whole stream of events as HTML 9.2.5 and 9.2.6 prescribe."""

    def __init__(self, stream: bytes) -> None:
        self.heard: list[Heard] = []
        self.retry: int | None = None
        self._data = ""
        self._event = ""
        self._id = ""
        text = stream.decode("utf-8").removeprefix("\ufeff")
        lines = re.split("\r\n|\r|\n", text)
        for line in lines[:-1]:  # an unterminated line is dropped
            self._take(line)

    def _take(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        field, colon, value = line.partition(":")
        if colon and not field:
            return  # a comment
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._event = value
            case "data":
                self._data += value + "\n"
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if re.fullmatch("[0-9]+", value):
                self.retry = int(value)

    def _dispatch(self) -> None:
        if self._data:
            data = self._data.removesuffix("\n")
            self.heard.append(Heard(data, self._event or "message", self._id))
        self._data = self._event = ""


def heard(*parts: ServerSentEvent | bytes) -> list[Heard]:
    return Browser(b"".join(map(bytes, parts))).heard


# The format


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ServerSentEvent("hello"), b"data: hello\n\n"),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent("a\nb"), b"data: a\ndata: b\n\n"),
        (ServerSentEvent("café"), "data: café\n\n".encode()),
        (ServerSentEvent("1", "tick"), b"event: tick\ndata: 1\n\n"),
        (ServerSentEvent("1", id="7"), b"id: 7\ndata: 1\n\n"),
        (ServerSentEvent("1", id=""), b"id: \ndata: 1\n\n"),  # resets the last id
        (ServerSentEvent("1", retry=0), b"retry: 0\ndata: 1\n\n"),
        (
            ServerSentEvent("1", "tick", "7", 5000),
            b"event: tick\nid: 7\nretry: 5000\ndata: 1\n\n",
        ),
    ],
)
def test_event_is_written_as_lines(event: ServerSentEvent, expected: bytes) -> None:
    assert bytes(event) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),  # all line ends are equivalent
        ("\n", "\n"),
        ("a\n", "a\n"),
        ("\r\r\n\n", "\n\n\n"),
        (" a", " a"),  # the format strips one space after the colon, but not a second
        ("data: a", "data: a"),
        (":a", ":a"),
        ("\ufeffa", "\ufeffa"),
        ("a\u2028b\x0bc\x85d", "a\u2028b\x0bc\x85d"),  # line ends in Unicode, but not for browsers
        ("a\0b", "a\0b"),
        ("a\ud800", "a?"),  # UTF-8 has no surrogates
    ],
)
def test_data_arrives_with_normalized_line_ends(data: str, expected: str) -> None:
    assert heard(ServerSentEvent(data)) == [Heard(expected)]


def test_empty_data_is_an_event() -> None:
    assert heard(ServerSentEvent("")) == [Heard("")]


def test_name_applies_once_and_id_until_replaced() -> None:
    events = [
        ServerSentEvent("1", "tick", "a"),
        ServerSentEvent("2"),
        ServerSentEvent("3", id=""),
        ServerSentEvent("4"),
    ]
    assert heard(*events) == [
        Heard("1", "tick", "a"),
        Heard("2", "message", "a"),
        Heard("3"),
        Heard("4"),
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\r\n", "\n", "\0", "a\0"])
def test_name_or_id_with_a_line_end_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a single line"):
        ServerSentEvent("", text)
    with pytest.raises(ValueError, match="not a single line"):
        ServerSentEvent("", id=text)


def test_negative_retry_raises_value_error() -> None:
    with pytest.raises(ValueError, match="retry is negative"):
        ServerSentEvent("", retry=-1)


def test_retry_reaches_the_browser() -> None:
    assert Browser(bytes(ServerSentEvent("", retry=2500))).retry == 2500


def test_events_are_frozen() -> None:
    event = ServerSentEvent("a")
    with pytest.raises(FrozenInstanceError):
        event.data = "b"  # type: ignore[misc] # what is tested
    assert event == ServerSentEvent("a")
    assert hash(event) == hash(ServerSentEvent("a"))


LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
TEXT = st.text(st.characters() | st.sampled_from("\r\n: \0\ufeff"))
EVENTS = st.builds(ServerSentEvent, TEXT, LINE, st.none() | LINE, st.none() | st.integers(0))


@settings(deadline=None)
@given(st.lists(st.one_of(EVENTS, st.just(KEEP_ALIVE)), max_size=5))
def test_arbitrary_events_arrive_between_keep_alive_comments(
    parts: list[ServerSentEvent | bytes],
) -> None:
    expected = []
    last_id = ""
    for event in parts:
        if isinstance(event, ServerSentEvent):
            data = re.sub("\r\n|\r", "\n", event.data).encode("utf-8", "replace").decode()
            last_id = last_id if event.id is None else event.id
            expected.append(Heard(data, event.event or "message", last_id))
    assert heard(*parts) == expected


@settings(deadline=None)
@given(EVENTS)
def test_written_event_is_parsed_back(event: ServerSentEvent) -> None:
    data = re.sub("\r\n|\r", "\n", event.data).encode("utf-8", "replace").decode()
    sent = bytes(event).decode().removesuffix("\n\n")
    assert ServerSentEvent.parse(sent) == replace(event, data=data)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (": comment", None),
        ("event: a\nid: 1", None),  # HTML 9.2.6: without data nothing is dispatched
        ("", None),
        ("data", ServerSentEvent("")),
        ("data:a\r\ndata:  b\rdata: c", ServerSentEvent("a\n b\nc")),
        ("other: x\ndata: a\nretry: soon\nid: \0", ServerSentEvent("a")),
        ("event: a\nevent: b\ndata: a\nid\nretry: 0", ServerSentEvent("a", "b", "", 0)),
    ],
)
def test_parse_returns_an_event_or_none(lines: str, expected: ServerSentEvent | None) -> None:
    assert ServerSentEvent.parse(lines) == expected


def test_keep_alive_is_a_comment_within_a_minute() -> None:
    assert 1 < KEEP_ALIVE_AFTER < 60
    assert heard(KEEP_ALIVE) == []
