"""Header fields as lines, parsed and written."""

import pytest

from trio_http.http1.field_lines import lines_of, parse_field
from trio_http.semantics.errors import HTTPError


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"X-Name: \t a b \t", (b"x-name", b"a b")),
        (b"a:", (b"a", b"")),
        (b"a:b:c", (b"a", b"b:c")),
        (b"a: \xe9\tb", (b"a", b"\xe9\tb")),  # obs-text (RFC 9110 5.5)
    ],
)
def test_field_line_parses_to_lower_case_name_and_trimmed_value(
    line: bytes, field: tuple[bytes, bytes]
) -> None:
    assert parse_field(line) == field


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no colon",
        b": no name",
        b"a : b",  # RFC 9112 5.1: white space before the colon
        b" a: b",  # RFC 9112 5.2: obs-fold
        b"a(b): c",
        b"\xe9: a",
        b"a: b\x00",
        b"a: b\r\nc: d",
    ],
)
def test_malformed_field_line_gets_400(line: bytes) -> None:
    with pytest.raises(HTTPError) as refusal:
        parse_field(line)
    assert (refusal.value.status, refusal.value.detail) == (400, "malformed field line")


def test_fields_are_written_as_lines() -> None:
    assert lines_of(()) == b""
    assert lines_of(((b"A", b"b"), (b"C", b""))) == b"A: b\r\nC: \r\n"
