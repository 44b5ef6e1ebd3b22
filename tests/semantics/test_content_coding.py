"""Tests of the choice of a content coding, and of the encoders."""

import gzip
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.content_coding import (
    ENCODERS,
    IDENTITY,
    accepts,
    choose_coding,
    encoded,
    encoders_at_hand,
)

# The wbits of the zlib module for the formats of RFC 1952 and RFC 1950.
FORMATS = {"gzip": 31, "deflate": 15}
CODINGS = pytest.mark.parametrize("coding", ENCODERS)

# The import names of the libraries.
ZSTD = ("compression.zstd", "backports.zstd")
LIBRARIES = (*ZSTD, "brotli", "isal.isal_zlib")

WISHES = st.dictionaries(
    st.sampled_from([*ENCODERS, "br", "identity", "*"]), st.sampled_from([0, 1, 500, 1000])
)


def field_of(thousandths: dict[str, int]) -> str:
    return ", ".join(f"{coding};q={q / 1000:.3f}" for coding, q in thousandths.items())


def zstd_library() -> Any:
    try:
        return import_module(ZSTD[0])
    except ImportError:
        return import_module(ZSTD[1])


class Decoder:
    """The client's decoder: ``decode`` returns everything that can be decoded so far."""

    def __init__(self, coding: str) -> None:
        self.decode: Callable[[bytes], bytes]
        self._ended: Callable[[], bool]
        match coding:
            case "zstd":
                zstd = zstd_library().ZstdDecompressor()
                self.decode, self._ended = zstd.decompress, lambda: bool(zstd.eof)
            case "br":
                brotli = import_module("brotli").Decompressor()
                self.decode, self._ended = brotli.process, brotli.is_finished
            case _:
                deflate = zlib.decompressobj(FORMATS[coding])
                self.decode, self._ended = deflate.decompress, lambda: deflate.eof

    @property
    def ended(self) -> bool:
        return self._ended()


def decoded(data: bytes, coding: str) -> bytes:
    decoder = Decoder(coding)
    plain = decoder.decode(data)
    assert decoder.ended
    return plain


# Choosing


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, "identity"),  # anything is acceptable; identity needs no decoder
        ("", "identity"),  # RFC 9110 12.5.3: no coding is wanted
        ("gzip", "gzip"),
        ("GZIP", "gzip"),  # 8.4.1: codings have no case
        ("deflate", "deflate"),
        ("x-gzip", "gzip"),  # 8.4.1.3
        ("x-gzip;q=0.2, deflate;q=0.1", "gzip"),
        ("gzip;q=0, x-gzip", "identity"),  # the exact name counts
        ("br", "identity"),  # not offered
        ("invalid-1, gzip, invalid-2", "gzip"),
        ("deflate, gzip", "gzip"),  # equal weights: the server chooses
        ("deflate, gzip;q=0.9", "deflate"),
        ("deflate;q=0.001", "deflate"),
        ("*", "gzip"),
        ("gzip;q=0, *", "deflate"),  # a star matches all other codings
        ("gzip;q=0.5, *", "deflate"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("*;q=0, identity", "identity"),
        ("*;q=0, identity;q=0.1", "identity"),
        ("gzip;q=0", "identity"),
        ("identity", "identity"),
        ("identity;q=0", None),  # nothing else is named, so nothing is acceptable
        ("identity;q=0, br", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0, *;q=0.1", "gzip"),
        ("identity;q=0, *;q=0", None),
        ("gzip;q=0, deflate;q=0, identity;q=0, *", None),
        ("identity, gzip;q=0.5", "identity"),  # identity is preferred explicitly
        ("identity;q=0.5, gzip", "gzip"),
        ("identity, gzip", "gzip"),  # equal weights, and shorter
        ("gzip;q=1.5", "identity"),  # a member with a malformed weight is ignored
        ("gzip;q=1.5, deflate;q=0.1", "deflate"),
    ],
)
def test_choose_coding_follows_accept_encoding(accepted: str | None, expected: str | None) -> None:
    assert choose_coding(accepted, ["gzip", "deflate"]) == expected
    assert choose_coding(accepted, iter(["gzip", "deflate"])) == expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate, br, zstd", "zstd"),  # Chrome and Firefox
        ("gzip, deflate, br", "br"),  # Safari
        ("gzip, deflate", "gzip"),
        ("*", "zstd"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "br"),
        ("zstd;q=0, *;q=0.1", "br"),
        ("zstd;q=0.9, gzip", "gzip"),
        ("ZSTD", "zstd"),
        ("identity;q=0, compress", None),
    ],
)
def test_best_coding_is_chosen_among_equal_weights(accepted: str, expected: str | None) -> None:
    assert choose_coding(accepted, ["zstd", "br", "gzip", "deflate"]) == expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [(None, "identity"), ("gzip", "identity"), ("identity;q=0, gzip", None), ("*;q=0", None)],
)
def test_identity_is_chosen_if_nothing_is_offered(
    accepted: str | None, expected: str | None
) -> None:
    assert choose_coding(accepted, []) == expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, True),  # RFC 9110 12.5.3, rule 1
        ("gzip", True),
        ("x-gzip", True),
        ("*", True),
        ("identity, gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
    ],
)
def test_coding_is_accepted_even_if_others_are_preferred(
    accepted: str | None, expected: object
) -> None:
    assert accepts(accepted, "gzip") is expected


def test_available_codings_are_offered_by_default() -> None:
    assert choose_coding("*") == next(iter(ENCODERS))
    assert choose_coding("deflate") == "deflate"


@settings(deadline=None)
@given(WISHES)
def test_chosen_coding_is_acceptable_and_has_the_largest_weight(wishes: dict[str, int]) -> None:
    choice = choose_coding(field_of(wishes))
    # RFC 9110 12.5.3, rules 2 and 3, in other words.
    liked = {coding: wishes.get(coding, wishes.get("*", 0)) for coding in ENCODERS}
    refuses_identity = wishes.get("identity", wishes.get("*")) == 0
    if choice is None:
        assert refuses_identity
        assert not any(liked.values())
    elif choice == IDENTITY:
        assert not refuses_identity
        assert max(liked.values()) <= wishes.get("identity", 0)
    else:
        assert liked[choice] == max(liked.values()) > 0
        assert liked[choice] >= wishes.get("identity", 0)


@settings(deadline=None)
@given(st.text(st.sampled_from("gzip;q=01., *")) | st.text())
def test_arbitrary_accept_encoding_never_raises(accepted: str) -> None:
    assert choose_coding(accepted) in {*ENCODERS, IDENTITY, None}


# Encoding


@CODINGS
@settings(deadline=None)
@given(data=st.binary())
def test_encoded_data_decodes_to_the_original(coding: str, data: bytes) -> None:
    assert decoded(encoded(data, coding), coding) == data


def test_gzip_is_decoded_by_the_standard_library() -> None:
    assert gzip.decompress(encoded(b"abc", "gzip")) == b"abc"


@CODINGS
def test_repetitive_data_is_compressed(coding: str) -> None:
    assert len(encoded(b"again and " * 1000, coding)) < 200


@CODINGS
def test_equal_bodies_have_equal_encodings(coding: str) -> None:
    # It contains no time and no name, so its entity tag can derive from that of the data.
    assert encoded(b"abc" * 100, coding) == encoded(b"abc" * 100, coding)


@CODINGS
@settings(deadline=None)
@given(pieces=st.lists(st.binary()))
def test_flushed_data_can_be_decoded_at_once(coding: str, pieces: list[bytes]) -> None:
    encoder = ENCODERS[coding]()
    decoder = Decoder(coding)
    for piece in pieces:
        coded = encoder.encode(piece) + encoder.flush()
        assert decoder.decode(coded) == piece
    ended_before = decoder.ended
    assert decoder.decode(encoder.finish()) == b""
    assert (ended_before, decoder.ended) == (False, True)


@CODINGS
def test_unflushed_data_is_complete_after_finish(coding: str) -> None:
    encoder = ENCODERS[coding]()
    coded = b"".join([encoder.encode(b"%d" % n) for n in range(1000)])
    assert decoded(coded + encoder.finish(), coding) == b"".join([b"%d" % n for n in range(1000)])


@CODINGS
def test_encoders_are_independent(coding: str) -> None:
    one, other = ENCODERS[coding](), ENCODERS[coding]()
    coded = one.encode(b"one")
    other_coded = other.encode(b"other")
    assert decoded(coded + one.finish(), coding) == b"one"
    assert decoded(other_coded + other.finish(), coding) == b"other"


def test_unknown_coding_raises_key_error() -> None:
    with pytest.raises(KeyError, match="compress"):
        encoded(b"abc", "compress")


def test_zstd_window_fits_into_8_mib() -> None:
    if "zstd" not in ENCODERS:
        pytest.skip("zstd is not installed")
    zstd = zstd_library()
    # RFC 9659: decoders must support windows up to 8 MiB, but no larger ones.
    options = {zstd.DecompressionParameter.window_log_max: 23}
    data = bytes(9 * 1024 * 1024)
    assert zstd.ZstdDecompressor(options=options).decompress(encoded(data, "zstd")) == data


def test_gzip_uses_isal_if_installed() -> None:
    isal = pytest.importorskip("isal.isal_zlib")
    compressor = isal.compressobj(1, isal.DEFLATED, 31)
    data = b"again and " * 1000
    assert encoded(data, "gzip") == compressor.compress(data) + compressor.flush()


# Available libraries


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Hide all libraries for content codings."""
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)
    return monkeypatch


def test_gzip_and_deflate_are_always_available(bare: pytest.MonkeyPatch) -> None:
    encoders = encoders_at_hand()
    assert list(encoders) == ["gzip", "deflate"]
    for coding, make in encoders.items():
        encoder = make()
        data = encoder.encode(b"abc") + encoder.flush() + encoder.encode(b"def") + encoder.finish()
        assert decoded(data, coding) == b"abcdef"


def test_zlib_compresses_without_isal(bare: pytest.MonkeyPatch) -> None:
    encoder = encoders_at_hand()["gzip"]()
    assert len(encoder.encode(b"again and " * 1000) + encoder.finish()) < 100


@pytest.mark.parametrize(
    ("library", "coding"),
    [("compression.zstd", "zstd"), ("backports.zstd", "zstd"), ("brotli", "br")],
)
def test_each_library_adds_its_coding(library: str, coding: str, bare: pytest.MonkeyPatch) -> None:
    bare.setitem(sys.modules, library, sys)  # any module will do, because it is not used yet
    assert list(encoders_at_hand()) == [coding, "gzip", "deflate"]


def test_best_coding_comes_first(bare: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES:
        bare.setitem(sys.modules, library, sys)
    assert list(encoders_at_hand()) == ["zstd", "br", "gzip", "deflate"]
