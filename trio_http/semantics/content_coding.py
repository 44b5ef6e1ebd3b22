"""Content codings: their encoders, and the choice between them (RFC 9110 12.5.3).

gzip and deflate are always available. zstd, br and a faster gzip are available if their
libraries are installed (``pip install ".[codings]"``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from trio_http.semantics.field_values import weights_of


class Encoder(Protocol):
    """An encoder for one body, unusable after ``finish``."""

    def encode(self, data: bytes, /) -> bytes:
        """Encode bytes; return the output that is ready, possibly none."""
        ...

    def flush(self) -> bytes:
        """Return all pending bytes, so that the client can decode everything so far."""
        ...

    def finish(self) -> bytes:
        """Return the remaining bytes."""
        ...


@dataclass(frozen=True, slots=True)
class _Made:
    """An encoder made of three functions of a library."""

    encode: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


# At higher levels than these, more time buys little. For 128 KiB of JSON, MB/s and compression
# ratio: zstd 1: 917, 6.1; br 3: 263, 6.1; isal 1: 1174, 4.9; zlib 1: 265, 4.6; zlib 4: 161,
# 5.2; zlib 6: 103, 5.6; zlib 9: 27, 5.9.


def _deflating(window: int, isal: ModuleType | None) -> Encoder:
    compressor: Any = (
        zlib.compressobj(4, zlib.DEFLATED, window)
        if isal is None
        else isal.compressobj(1, isal.DEFLATED, window)
    )
    return _Made(
        compressor.compress, partial(compressor.flush, zlib.Z_SYNC_FLUSH), compressor.flush
    )


def _brotli(library: ModuleType) -> Encoder:
    # A window of half a megabyte, as zstd has at level 1. Brotli's default of four megabytes
    # gains 0.3 % on a megabyte of text, and takes 3 MB more per body being sent.
    compressor = library.Compressor(quality=3, lgwin=19)
    return _Made(compressor.process, compressor.flush, compressor.finish)


def _zstd(library: ModuleType) -> Encoder:
    compressor = library.ZstdCompressor(1)
    return _Made(
        compressor.compress,
        partial(compressor.flush, compressor.FLUSH_BLOCK),
        partial(compressor.flush, compressor.FLUSH_FRAME),
    )


def library(*names: str) -> ModuleType | None:
    """Return the first module that can be imported, or None."""
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    return None


def encoders_at_hand() -> dict[str, Callable[[], Encoder]]:
    """Return the available codings, best compression for its cost first.

    "deflate" is the zlib format, despite its name (RFC 9110 8.4.1.2).
    """
    encoders: dict[str, Callable[[], Encoder]] = {}
    # The standard library has zstd since 3.14, unless Python was built without it.
    if (zstd := library("compression.zstd", "backports.zstd")) is not None:
        encoders["zstd"] = partial(_zstd, zstd)
    if (brotli := library("brotli")) is not None:
        encoders["br"] = partial(_brotli, brotli)
    isal = library("isal.isal_zlib")
    encoders["gzip"] = partial(_deflating, 31, isal)
    encoders["deflate"] = partial(_deflating, 15, isal)
    return encoders


# Computed once: looking for a missing library costs more than encoding a short body.
ENCODERS = encoders_at_hand()

# The bytes encoded in a tenth of a millisecond, by the figures above. Moving work to a worker
# thread and back takes about as long.
_SLOW, _FAST = 16 * 1024, 64 * 1024
QUICK = {
    "zstd": _FAST,
    "br": _SLOW,
    "gzip": _SLOW if library("isal.isal_zlib") is None else _FAST,
    "deflate": _SLOW if library("isal.isal_zlib") is None else _FAST,
}

IDENTITY = "identity"


def accepts(accepted: str | None, coding: str) -> bool:
    """Return whether ``Accept-Encoding`` allows a coding, even if the client prefers others."""
    if accepted is None:
        return True
    weights = _weights_of(accepted)
    return weights.get(coding, weights.get("*", 0.0)) > 0.0


def _weights_of(accepted: str) -> dict[str, float]:
    weights = weights_of(accepted)
    if "x-gzip" in weights:  # RFC 9110 8.4.1.3: the same as gzip
        weights.setdefault("gzip", weights["x-gzip"])
    return weights


def choose_coding(accepted: str | None, offered: Iterable[str] | None = None) -> str | None:
    """Return the coding to send: the first offered of those that the client likes best.

    This is ``identity`` if the client sends no ``Accept-Encoding`` or names only unknown
    codings, and None if it rejects ``identity`` and everything offered.
    """
    if accepted is None:
        return IDENTITY
    weights = _weights_of(accepted)
    others = weights.get("*", 0.0)
    best, weight = None, 0.0
    for coding in ENCODERS if offered is None else offered:
        wanted = weights.get(coding, others)
        if wanted > weight:
            best, weight = coding, wanted
    # Identity is acceptable unless it is excluded, by name or by "*;q=0", but preferred only if
    # the client says so.
    identity = weights.get(IDENTITY, 0.0 if weights.get("*") == 0.0 else None)
    if best is None:
        return None if identity == 0.0 else IDENTITY
    return IDENTITY if identity is not None and identity > weight else best


def encoded(data: bytes, coding: str) -> bytes:
    """Return a whole body in a coding."""
    encoder = ENCODERS[coding]()
    return encoder.encode(data) + encoder.finish()
