"""Tests of digest fields (RFC 9530), whose syntax is dictionaries (RFC 9651)."""

import hashlib
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.semantics.digests import (
    ALGORITHMS,
    Digest,
    Verification,
    parse_digests,
    wanted_algorithm,
)
from trio_http.semantics.field_values import MOST_SEPARATORS

# RFC 9530 appendix D: '{"hello": "world"}' and a line feed.
CONTENT = b'{"hello": "world"}\n'
SHA_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA_512 = (
    "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCs"
    "yRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
)
IN_256 = Digest("sha-256", hashlib.sha256(CONTENT).digest())
IN_512 = Digest("sha-512", hashlib.sha512(CONTENT).digest())


def test_digest_is_written_as_in_the_rfc() -> None:
    assert str(IN_256) == SHA_256
    assert str(IN_512) == SHA_512


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", []),
        (" ", []),
        (SHA_256, [IN_256]),
        (SHA_512, [IN_512]),
        (f"{SHA_512}, {SHA_256}", [IN_256, IN_512]),
        (f"  {SHA_256}\t,\t {SHA_512} ", [IN_256, IN_512]),
        (f"{SHA_256},{SHA_512}", [IN_256, IN_512]),
        # RFC 9651 3.2: the last of repeated members counts, even if the others are malformed.
        (f"sha-256=:AAAA:, {SHA_256}", [IN_256]),
        (f"sha-256, {SHA_256}", [IN_256]),
        # Parameters are not part of a digest.
        (f'{SHA_256};a;b=1;c="x;y, z";d=:AAAA:', [IN_256]),
        (f"{SHA_256};{SHA_512}", [IN_256]),
        (f"{SHA_256}; a=?0;  b=tok/en", [IN_256]),
        # Unknown algorithms are ignored, whatever type their value has.
        ("md5=:AAAA:", []),
        ("crc32c, adler=1, unixsum=-12.5, id-sha-256=tok:/en*", []),
        (f'*a="x\\"y\\\\, z", b.c=@1659578233, d=%"f%c3%bc", e=?1, {SHA_256}', [IN_256]),
        ("sha-256=::", [Digest("sha-256", b"")]),
        # RFC 9651 4.2.7: padding can be left out, and the padded bits need not be zero.
        (SHA_256.replace("=:", ":").replace(":", "=:", 1), [IN_256]),
        ("sha-256=:/x==:", [Digest("sha-256", b"\xff")]),
    ],
)
def test_digests_are_parsed(field: str, expected: list[Digest]) -> None:
    assert parse_digests(field) == expected


@pytest.mark.parametrize(
    "field",
    [
        ",",
        f",{SHA_256}",
        f"{SHA_256},",  # RFC 9651 4.2.2: a trailing comma is an error
        f"{SHA_256}, ,{SHA_512}",
        f"{SHA_256} {SHA_512}",
        f"{SHA_256} ;a",  # a blank before a parameter
        "SHA-256=:AAAA:",  # keys are in lower case
        "sha-256 =:AAAA:",
        "sha-256= :AAAA:",
        "sha-256=",
        "=:AAAA:",
        # Known algorithms need a byte sequence.
        "sha-256",
        "sha-256=1",
        "sha-256=AAAA",
        'sha-256=":AAAA:"',
        "sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
        "sha-256=:AAAA",
        "sha-256=:A:",
        "sha-256=:AA=A:",
        "sha-256=:AA-_:",  # the URL-safe alphabet is not allowed
        "sha-256=:AA AA:",
        "sha-256=(:AAAA:)",  # a list is not a digest
        # Unknown algorithms must be well-formed, too.
        "md5=:A*A:",
        'md5="x',
        "md5=1.",
        "md5=1234567890123456",
        "md5=?2",
        "\x00",
        "caf\udce9",
    ],
)
def test_malformed_digests_raise_value_error(field: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_digests(field)


@pytest.mark.parametrize("unit", ["a,", "a=a;", "a=:", 'a="\\', "a=1."])
def test_overlong_fields_raise_value_error_or_are_ignored(unit: str) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_digests(unit * 16_000)
    assert wanted_algorithm("sha-256=1," + unit * 16_000) is None


def test_fields_have_a_maximum_number_of_members() -> None:
    field = ", ".join(f"x{number}=1" for number in range(MOST_SEPARATORS)) + ", sha-256=1"
    assert wanted_algorithm(field) == "sha-256"
    assert wanted_algorithm(f"{field}, y=1") is None


@given(content=st.binary(), algorithm=st.sampled_from(list(ALGORITHMS)))
def test_written_digests_are_parsed_back(content: bytes, algorithm: str) -> None:
    digest = Digest(algorithm, hashlib.new(algorithm.replace("-", ""), content).digest())
    assert parse_digests(str(digest)) == [digest]


@given(st.text('sha-256=:A,; \t"\\?@%(1.', max_size=40))
def test_arbitrary_fields_are_parsed_or_raise_value_error(field: str) -> None:
    with suppress(ValueError):
        parse_digests(field)
    wanted_algorithm(field)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, None),
        ("", None),
        ("sha-256=1", "sha-256"),
        ("sha-512=1", "sha-512"),
        ("sha-256=10, sha-512=3", "sha-256"),
        ("sha-512=3, sha-256=10", "sha-256"),
        ("sha-256=3, sha-512=10", "sha-512"),
        ("sha-512=5, sha-256=5", "sha-256"),  # the shorter digest wins
        ("sha-512=3;x=1, sha-256=0", "sha-512"),
        # RFC 9530 4: 0 means not acceptable, 10 is the maximum.
        ("sha-256=0", None),
        ("sha-256=11", None),
        ("sha-256=11, sha-512=1", "sha-512"),
        ("sha-256=-1", None),
        ("sha-256=1.0", None),
        ("sha-256=01", None),
        ("sha-256", None),
        ("sha-256=?1", None),
        ("sha-256=:AAAA:", None),
        ("md5=10", None),
        ("sha=10, unixsum=9, sha-512=1", "sha-512"),
        # RFC 9651 4.2: a malformed field is ignored as a whole.
        ("sha-256=1,", None),
        ("sha-256=1 sha-512=2", None),
        ("SHA-256=1", None),
    ],
)
def test_wanted_algorithm_has_the_highest_preference(
    field: str | None, expected: str | None
) -> None:
    assert wanted_algorithm(field) == expected


@pytest.mark.parametrize(
    ("promised", "holds"),
    [
        ([], True),
        ([IN_256], True),
        ([IN_512], True),
        ([IN_256, IN_512], True),
        ([IN_256, IN_256], True),
        ([Digest("sha-256", b"")], False),
        ([Digest("sha-256", IN_256.value[:-1])], False),
        ([Digest("sha-256", IN_512.value)], False),
        ([IN_256, Digest("sha-512", IN_256.value)], False),
        ([Digest("sha-256", hashlib.sha256(b"").digest()), IN_512], False),
    ],
)
def test_verification_holds_if_all_digests_match(promised: list[Digest], holds: object) -> None:
    verification = Verification(promised)
    verification.update(CONTENT[:5])
    verification.update(memoryview(CONTENT)[5:])
    assert verification.holds() is holds


def test_empty_content_has_a_digest() -> None:
    empty = Digest("sha-256", hashlib.sha256().digest())
    assert str(empty) == f"sha-256=:{b64encode(hashlib.sha256().digest()).decode()}:"
    assert Verification([empty]).holds()
