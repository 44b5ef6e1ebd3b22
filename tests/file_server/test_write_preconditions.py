"""Tests of preconditions of a change: when they are true, and when they refuse it."""

import hashlib

import pytest
from support import NO_BODY

from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.conditional import MISSING, State
from trio_http.semantics.digests import Digest
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import MOST_SEPARATORS
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.validators import ETag

STORED = State.stored(ETag("now"), 784111777)  # RFC 9110 5.6.7
THEN = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
DIGEST = Digest("sha-256", hashlib.sha256(b"content").digest())
OTHER = Digest("sha-512", hashlib.sha512(b"content").digest())


def terms_of(*fields: tuple[str, str], method: str = "PUT") -> WritePreconditions:
    headers = Headers(fields).defaulting("Content-Length", "7")
    return WritePreconditions.of(Request(method, "/name", "1.1", headers, NO_BODY))


def refusal_of(*fields: tuple[str, str], method: str = "PUT") -> HTTPError:
    with pytest.raises(HTTPError) as refusal:
        terms_of(*fields, method=method)
    return refusal.value


@pytest.mark.parametrize(
    ("name", "depends"),
    [
        ("If-Match", True),
        ("If-None-Match", True),
        ("If-Unmodified-Since", True),
        ("If-Range", False),
        ("Host", False),
    ],
)
def test_conditional_fields_depend_on_the_state(name: str, depends: object) -> None:
    assert terms_of((name, "*")).depends is depends


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        # Order and combination follow RFC 9110 13.2.2, and are tested with that module.
        (("If-Match", '"now"'), {STORED: True, MISSING: False}),
        (("If-Match", '"now-gzip"'), {STORED: True, MISSING: False}),
        (("If-Match", '"then"'), {STORED: False, MISSING: False}),
        (("If-Match", "*"), {STORED: True, MISSING: False}),
        (("If-None-Match", "*"), {STORED: False, MISSING: True}),
        (("If-None-Match", '"now"'), {STORED: False, MISSING: True}),
        (("If-None-Match", '"then"'), {STORED: True, MISSING: True}),
        (("If-Unmodified-Since", THEN), {STORED: True, MISSING: True}),
        (("If-Unmodified-Since", BEFORE), {STORED: False, MISSING: True}),
        (("If-Modified-Since", THEN), {STORED: True, MISSING: True}),  # for GET only (13.1.3)
        (("X-Other", "*"), {STORED: True, MISSING: True}),
    ],
)
def test_preconditions_are_compared_with_the_state(
    method: str, field: tuple[str, str], expected: dict[State, bool]
) -> None:
    preconditions = terms_of(field, method=method)
    for state, proceeds in expected.items():
        if proceeds:
            preconditions.check(state)
        else:
            with pytest.raises(HTTPError) as refusal:
                preconditions.check(state)
            assert refusal.value.status == 412


@pytest.mark.parametrize(
    ("fields", "state", "detail"),
    [
        ([("If-Match", '"then"')], STORED, "it has changed"),
        ([("If-Unmodified-Since", BEFORE)], STORED, "it has changed"),
        ([("If-None-Match", "*")], STORED, "there is one already"),
        ([("If-Match", '"then"'), ("If-None-Match", "*")], STORED, "it has changed"),
        ([("If-Match", "*")], MISSING, "there is none to be changed"),
    ],
)
def test_refusal_states_the_reason(
    fields: list[tuple[str, str]], state: State, detail: str
) -> None:
    with pytest.raises(HTTPError) as refusal:
        terms_of(*fields).check(state)
    assert refusal.value.detail == detail


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_write_without_a_length_gets_411(method: str, version: str) -> None:
    def preconditions(*fields: tuple[str, str]) -> WritePreconditions:
        return WritePreconditions.of(Request(method, "/name", version, Headers(fields), NO_BODY))

    with pytest.raises(HTTPError, match="Content-Length") as refusal:
        preconditions()
    assert refusal.value.status == 411
    assert preconditions(("content-length", "0")).method == method
    assert preconditions(("Transfer-Encoding", "chunked")).method == method


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("value", ["bytes 0-4/10", "bytes */10", "nonsense", ""])
def test_part_of_a_file_gets_400(method: str, value: str) -> None:
    # RFC 9110 14.5
    assert refusal_of(("Content-Range", value), method=method).status == 400


@pytest.mark.parametrize(
    "value",
    [
        "gzip",
        "GZIP",
        "br",
        "x-unknown",
        "identity, gzip",
        "gzip, identity",
        "gzip, br",
        "identity, " * MOST_SEPARATORS + "identity, identity",  # too long
    ],
)
def test_content_in_a_coding_gets_415(value: str) -> None:
    refusal = refusal_of(("Content-Encoding", value))
    assert refusal.status == 415
    assert refusal.headers["Accept-Encoding"] == "identity"  # RFC 9110 12.5.3


@pytest.mark.parametrize("value", ["identity", "Identity", "", " , identity ,"])
def test_content_in_no_coding_is_accepted_in_every_spelling(value: str) -> None:
    terms_of(("Content-Encoding", value.strip()))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], ()),
        ([("Content-Digest", str(DIGEST))], (DIGEST,)),
        ([("Repr-Digest", str(DIGEST))], (DIGEST,)),
        # Two lines are one list (RFC 9110 5.3), and two different fields are two digests.
        ([("Repr-Digest", str(DIGEST)), ("Repr-Digest", str(OTHER))], (DIGEST, OTHER)),
        ([("Repr-Digest", str(DIGEST)), ("Content-Digest", str(OTHER))], (OTHER, DIGEST)),
        ([("Content-Digest", "md5=:AAAA:")], ()),
        ([("Digest", "sha-256=x")], ()),  # the field of RFC 3230 is obsolete
    ],
)
def test_digests_are_parsed(fields: list[tuple[str, str]], expected: tuple[Digest, ...]) -> None:
    assert terms_of(*fields).digests == expected


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("value", ["sha-256=AAAA", "sha-256=:AAAA", "?", "sha-256"])
def test_malformed_digest_gets_400(name: str, value: str) -> None:
    refusal = refusal_of((name, value))
    assert (refusal.status, name in refusal.detail) == (400, True)
