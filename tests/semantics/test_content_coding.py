"""Which coding a client gets, and whether it can decode it."""

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

# wbits as the zlib module wants them: the formats of RFC 1952 and RFC 1950.
FORMATS = {"gzip": 31, "deflate": 15}
CODINGS = pytest.mark.parametrize("coding", ENCODERS)

# The libraries, as they are imported.
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
    """The other side: ``decode`` gives all that can be decoded by now."""

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
        (None, "identity"),  # anything would be acceptable; this needs no decoder
        ("", "identity"),  # RFC 9110 12.5.3: no coding is wanted
        ("gzip", "gzip"),
        ("GZIP", "gzip"),  # 8.4.1: codings have no case
        ("deflate", "deflate"),
        ("x-gzip", "gzip"),  # 8.4.1.3
        ("x-gzip;q=0.2, deflate;q=0.1", "gzip"),
        ("gzip;q=0, x-gzip", "identity"),  # its own name counts
        ("br", "identity"),  # if that is not at hand
        ("invalid-1, gzip, invalid-2", "gzip"),
        ("deflate, gzip", "gzip"),  # as good to the client, so we choose
        ("deflate, gzip;q=0.9", "deflate"),
        ("deflate;q=0.001", "deflate"),
        ("*", "gzip"),
        ("gzip;q=0, *", "deflate"),  # a star is for what is not named
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
        ("identity, gzip;q=0.5", "identity"),  # it says so
        ("identity;q=0.5, gzip", "gzip"),
        ("identity, gzip", "gzip"),  # as good to the client, and shorter
        ("gzip;q=1.5", "identity"),  # a malformed weight wishes nothing
        ("gzip;q=1.5, deflate;q=0.1", "deflate"),
    ],
)
def test_choice(accepted: str | None, expected: str | None) -> None:
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
def test_of_what_the_client_likes_as_well_the_best_is_chosen(
    accepted: str, expected: str | None
) -> None:
    assert choose_coding(accepted, ["zstd", "br", "gzip", "deflate"]) == expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [(None, "identity"), ("gzip", "identity"), ("identity;q=0, gzip", None), ("*;q=0", None)],
)
def test_where_nothing_is_offered_there_is_identity_unless_it_is_refused(
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
def test_a_coding_is_accepted_even_if_others_are_liked_better(
    accepted: str | None, expected: object
) -> None:
    assert accepts(accepted, "gzip") is expected


def test_what_is_at_hand_is_offered() -> None:
    assert choose_coding("*") == next(iter(ENCODERS))
    assert choose_coding("deflate") == "deflate"


@settings(deadline=None)
@given(WISHES)
def test_choice_is_acceptable_and_none_is_liked_better(wishes: dict[str, int]) -> None:
    choice = choose_coding(field_of(wishes))
    # RFC 9110 12.5.3, rules 2 and 3, said another way.
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
def test_no_field_is_an_error(accepted: str) -> None:
    assert choose_coding(accepted) in {*ENCODERS, IDENTITY, None}


# Encoding


@CODINGS
@settings(deadline=None)
@given(data=st.binary())
def test_the_other_side_gets_the_data_back(coding: str, data: bytes) -> None:
    assert decoded(encoded(data, coding), coding) == data


def test_gzip_is_what_everybody_calls_gzip() -> None:
    assert gzip.decompress(encoded(b"abc", "gzip")) == b"abc"


@CODINGS
def test_repetition_shrinks(coding: str) -> None:
    assert len(encoded(b"again and " * 1000, coding)) < 200


@CODINGS
def test_equal_bodies_are_coded_equally(coding: str) -> None:
    # No time and no name in it: an entity tag for it can be made of the data's.
    assert encoded(b"abc" * 100, coding) == encoded(b"abc" * 100, coding)


@CODINGS
@settings(deadline=None)
@given(pieces=st.lists(st.binary()))
def test_all_that_was_flushed_can_be_decoded_before_the_rest_comes(
    coding: str, pieces: list[bytes]
) -> None:
    encoder = ENCODERS[coding]()
    decoder = Decoder(coding)
    for piece in pieces:
        coded = encoder.encode(piece) + encoder.flush()
        assert decoder.decode(coded) == piece
    ended_before = decoder.ended
    assert decoder.decode(encoder.finish()) == b""
    assert (ended_before, decoder.ended) == (False, True)


@CODINGS
def test_what_is_not_flushed_is_there_in_the_end(coding: str) -> None:
    encoder = ENCODERS[coding]()
    coded = b"".join([encoder.encode(b"%d" % n) for n in range(1000)])
    assert decoded(coded + encoder.finish(), coding) == b"".join([b"%d" % n for n in range(1000)])


@CODINGS
def test_encoders_share_nothing(coding: str) -> None:
    one, other = ENCODERS[coding](), ENCODERS[coding]()
    coded = one.encode(b"one")
    other_coded = other.encode(b"other")
    assert decoded(coded + one.finish(), coding) == b"one"
    assert decoded(other_coded + other.finish(), coding) == b"other"


def test_a_coding_that_we_do_not_have_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="compress"):
        encoded(b"abc", "compress")


def test_browsers_have_windows_enough_for_zstd() -> None:
    if "zstd" not in ENCODERS:
        pytest.skip("there is no zstd")
    zstd = zstd_library()
    # RFC 9659: a decoder has to give 8 MiB to a window, and no more.
    options = {zstd.DecompressionParameter.window_log_max: 23}
    data = bytes(9 * 1024 * 1024)
    assert zstd.ZstdDecompressor(options=options).decompress(encoded(data, "zstd")) == data


def test_gzip_is_isals_where_that_is_at_hand() -> None:
    isal = pytest.importorskip("isal.isal_zlib")
    compressor = isal.compressobj(1, isal.DEFLATED, 31)
    data = b"again and " * 1000
    assert encoded(data, "gzip") == compressor.compress(data) + compressor.flush()


# What is at hand


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Python without any library for codings."""
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)
    return monkeypatch


def test_gzip_and_deflate_are_always_at_hand(bare: pytest.MonkeyPatch) -> None:
    encoders = encoders_at_hand()
    assert list(encoders) == ["gzip", "deflate"]
    for coding, make in encoders.items():
        encoder = make()
        data = encoder.encode(b"abc") + encoder.flush() + encoder.encode(b"def") + encoder.finish()
        assert decoded(data, coding) == b"abcdef"


def test_zlib_alone_makes_them_smaller_too(bare: pytest.MonkeyPatch) -> None:
    encoder = encoders_at_hand()["gzip"]()
    assert len(encoder.encode(b"again and " * 1000) + encoder.finish()) < 100


@pytest.mark.parametrize(
    ("library", "coding"),
    [("compression.zstd", "zstd"), ("backports.zstd", "zstd"), ("brotli", "br")],
)
def test_each_library_brings_its_coding(
    library: str, coding: str, bare: pytest.MonkeyPatch
) -> None:
    bare.setitem(sys.modules, library, sys)  # any module will do: it is only made use of later
    assert list(encoders_at_hand()) == [coding, "gzip", "deflate"]


def test_the_best_comes_first(bare: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES:
        bare.setitem(sys.modules, library, sys)
    assert list(encoders_at_hand()) == ["zstd", "br", "gzip", "deflate"]
