"""Tests of decoding content codings: complete, strict, and bounded per piece."""

import gzip
import sys
import zlib
from importlib import import_module
from typing import Any

import pytest

from trio_http.semantics.content_coding import encoded
from trio_http.semantics.content_decoding import DECODERS, PIECE, decoders_at_hand

CODINGS = pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])

LINES = b"".join([b"%d and %d\n" % (number, number * 7919 % 10007) for number in range(100_000)])


def decoded(coding: str, data: bytes, size: int = 64 * 1024) -> bytes:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(DECODERS[coding](pieces))


@CODINGS
@pytest.mark.parametrize("data", [b"", b"x", LINES, bytes(5 * PIECE)], ids=len)
def test_encoded_data_is_decoded(coding: str, data: bytes) -> None:
    assert decoded(coding, encoded(data, coding)) == data


@CODINGS
def test_pieces_may_end_anywhere(coding: str) -> None:
    data = LINES[:10_000]
    coded = encoded(data, coding)
    for size in (1, 2, 3, len(coded) - 1, len(coded)):
        assert decoded(coding, coded, size) == data


@CODINGS
def test_highly_compressed_data_is_decoded_in_small_pieces(coding: str) -> None:
    coded = encoded(bytes(20 * PIECE), coding)
    assert len(coded) < PIECE // 10
    pieces = list(DECODERS[coding]([coded]))
    assert sum(map(len, pieces)) == 20 * PIECE
    assert max(map(len, pieces)) <= 2 * PIECE


@CODINGS
def test_truncated_data_raises_value_error(coding: str) -> None:
    coded = encoded(LINES, coding)
    for end in (0, 1, 3, 10, len(coded) // 2, len(coded) - 1):
        with pytest.raises(ValueError, match=r"."):
            decoded(coding, coded[:end])


@CODINGS
@pytest.mark.parametrize("size", [1, 10**6])
def test_data_after_the_end_raises_value_error(coding: str, size: int) -> None:
    coded = encoded(b"data", coding)
    for more in (b"x", b"\0", coded):
        with pytest.raises(ValueError, match=r"."):
            decoded(coding, coded + more, size if size > 1 else len(coded))


@CODINGS
@pytest.mark.parametrize("data", [b"no such thing", b"<p>page</p>" * 1000, bytes(100)])
def test_data_in_another_format_raises_value_error(coding: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoded(coding, data)


def test_zlib_data_is_not_accepted_as_gzip() -> None:
    with pytest.raises(ValueError, match="header"):
        decoded("gzip", zlib.compress(b"data"))


def test_gzip_with_a_wrong_checksum_raises_value_error() -> None:
    coded = bytearray(gzip.compress(LINES))
    coded[-5] ^= 1  # a byte of the checksum
    with pytest.raises(ValueError, match="check"):
        decoded("gzip", bytes(coded))


def zstd_library() -> Any:
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


@pytest.mark.parametrize(("window", "is_taken"), [(23, True), (24, False)])
def test_zstd_windows_above_8_mib_raise_value_error(window: int, is_taken: object) -> None:
    # RFC 9659. The data fills the window, or the encoder would declare a smaller one.
    zstd = zstd_library()
    data = bytes(1 << window)
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window})
    coded = compressor.compress(data) + compressor.flush()
    if is_taken:
        assert decoded("zstd", coded) == data
    else:
        with pytest.raises(ValueError, match="memory"):
            decoded("zstd", coded)


class Library:
    """A brotli library whose decoder has no output limit, as before version 1.2."""

    class Decompressor:
        pass


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Hide all libraries for content codings."""
    for name in ("compression.zstd", "backports.zstd", "brotli"):
        monkeypatch.setitem(sys.modules, name, None)
    return monkeypatch


def test_gzip_is_always_available(bare: pytest.MonkeyPatch) -> None:
    assert list(decoders_at_hand()) == ["gzip"]


def test_zstd_library_adds_its_coding(bare: pytest.MonkeyPatch) -> None:
    bare.setitem(sys.modules, "backports.zstd", sys)  # any module will do: it is not used yet
    assert list(decoders_at_hand()) == ["zstd", "gzip"]


def test_brotli_without_an_output_limit_is_not_used(bare: pytest.MonkeyPatch) -> None:
    bare.setitem(sys.modules, "brotli", Library)
    assert list(decoders_at_hand()) == ["gzip"]
