"""Decoders for content codings, piece by piece, with bounded output per piece.

gzip is always available; br and zstd are available if their libraries are installed
(``pip install ".[codings]"``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import TypeAlias

from trio_http.semantics.content_coding import library

# Bytes of output per step, because a kilobyte can expand to a megabyte and more.
PIECE = 256 * 1024

# RFC 9659: the largest window that an encoder may require of a client, as a power of two.
# Browsers reject larger ones, which ``zstd --ultra -22`` and ``--long`` produce.
_ZSTD_WINDOW = 23

Decoder: TypeAlias = Callable[[Iterable[bytes]], Iterator[bytes]]
"""Yields decoded pieces; raises ``ValueError`` if the input is not one complete body."""


def _truncated() -> ValueError:
    return ValueError("the coded data ends too early")


def _gunzip(coded: Iterable[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(31)
    try:
        for data in coded:
            rest = data
            while rest and not decoder.eof:
                yield decoder.decompress(rest, PIECE)
                rest = decoder.unconsumed_tail
            if decoder.unused_data or (rest and decoder.eof):
                # RFC 1952 2.2 allows several members, but not all clients read the second.
                raise ValueError("there is data after the first gzip member")
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not decoder.eof:
        raise _truncated()


def _unbrotli(brotli: ModuleType, coded: Iterable[bytes]) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    try:
        for data in coded:
            # The library itself rejects data after the end.
            plain = decoder.process(data, output_buffer_limit=PIECE)
            while plain:
                yield plain
                plain = decoder.process(b"", output_buffer_limit=PIECE)
    except brotli.error as error:
        raise ValueError(str(error)) from None
    if not decoder.is_finished():
        raise _truncated()


def _unzstd(zstd: ModuleType, coded: Iterable[bytes]) -> Iterator[bytes]:
    largest = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}
    decoder = zstd.ZstdDecompressor(options=largest)
    try:
        for data in coded:
            if decoder.eof:
                raise ValueError("there is data after the first zstd frame")
            yield decoder.decompress(data, PIECE)
            while not decoder.needs_input and not decoder.eof:
                yield decoder.decompress(b"", PIECE)
            if decoder.unused_data:
                raise ValueError("there is data after the first zstd frame")
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None
    if not decoder.eof:
        raise _truncated()


def decoders_at_hand() -> dict[str, Decoder]:
    """Return the available decoders, best coding first."""
    decoders: dict[str, Decoder] = {}
    if (zstd := library("compression.zstd", "backports.zstd")) is not None:
        decoders["zstd"] = partial(_unzstd, zstd)
    # Before version 1.2, brotli does not limit its output.
    brotli = library("brotli")
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        decoders["br"] = partial(_unbrotli, brotli)
    decoders["gzip"] = _gunzip
    return decoders


DECODERS = decoders_at_hand()
