"""Content codings: which one a client gets (RFC 9110 12.5.3), and their encoders.

gzip and deflate are always there. zstd and br, and a faster gzip, join in when
the libraries that make them are installed (``pip install ".[codings]"``).
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
    """A content coding at work; after ``finish`` it is used up."""

    def encode(self, data: bytes, /) -> bytes:
        """What is ready of the coded form, maybe nothing."""
        ...

    def flush(self) -> bytes:
        """All that was encoded so far, so that the client can decode it now."""
        ...

    def finish(self) -> bytes:
        """The rest."""
        ...


@dataclass(frozen=True, slots=True)
class _Made:
    """An encoder put together from the three functions of a library's."""

    encode: Callable[[bytes], bytes]
    flush: Callable[[], bytes]
    finish: Callable[[], bytes]


# The levels are those after which more time buys little. 128 KiB of JSON, in
# MB/s and times smaller: zstd 1: 917, 6.1; br 3: 263, 6.1; isal 1: 1174, 4.9;
# zlib 1: 265, 4.6; zlib 4: 161, 5.2; zlib 6: 103, 5.6; zlib 9: 27, 5.9.


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
    # Half a megabyte of window, as zstd has it at level 1. Brotli's own four gain
    # 0.3 % on a megabyte of text, and take 3 MB more for every body on its way.
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
    """The first of these modules that is here, and works."""
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    return None


def encoders_at_hand() -> dict[str, Callable[[], Encoder]]:
    """The codings that can be made here, the best for its cost first.

    "deflate" is the zlib format, whatever its name suggests (RFC 9110 8.4.1.2).
    """
    encoders: dict[str, Callable[[], Encoder]] = {}
    # The standard library has it from 3.14 on, unless it was built without.
    if (zstd := library("compression.zstd", "backports.zstd")) is not None:
        encoders["zstd"] = partial(_zstd, zstd)
    if (brotli := library("brotli")) is not None:
        encoders["br"] = partial(_brotli, brotli)
    isal = library("isal.isal_zlib")
    encoders["gzip"] = partial(_deflating, 31, isal)
    encoders["deflate"] = partial(_deflating, 15, isal)
    return encoders


# Made once: looking for a library that is not there costs more than a short body.
ENCODERS = encoders_at_hand()

# Bytes that an encoder takes in a tenth of a millisecond, by the figures above: about
# as long as the way to a worker thread and back.
_SLOW, _FAST = 16 * 1024, 64 * 1024
QUICK = {
    "zstd": _FAST,
    "br": _SLOW,
    "gzip": _SLOW if library("isal.isal_zlib") is None else _FAST,
    "deflate": _SLOW if library("isal.isal_zlib") is None else _FAST,
}

IDENTITY = "identity"


def accepts(accepted: str | None, coding: str) -> bool:
    """Whether a client takes a coding, by ``Accept-Encoding``, even if it likes others better."""
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
    """The coding to send in: of those a client likes best, the first that is offered.

    ``identity`` where the client names no field or nothing that we know, None
    where it refuses ``identity`` and everything else that we could send.
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
    # Identity is acceptable unless it is excluded, by name or by "*;q=0", but
    # preferred only by a client that says so.
    identity = weights.get(IDENTITY, 0.0 if weights.get("*") == 0.0 else None)
    if best is None:
        return None if identity == 0.0 else IDENTITY
    return IDENTITY if identity is not None and identity > weight else best


def encoded(data: bytes, coding: str) -> bytes:
    """A whole body in a coding."""
    encoder = ENCODERS[coding]()
    return encoder.encode(data) + encoder.finish()
