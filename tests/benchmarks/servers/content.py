"""What every server here answers with, so that all do the same work."""

from __future__ import annotations

import os
from pathlib import Path

TEXT = "Hello, world!"
TEXT_TYPE = "text/plain; charset=utf-8"
STREAM_TYPE = "application/octet-stream"

# A streamed answer: its pieces, one after the other, its length told to nobody.
PIECE = b"0123456789abcdef" * 64
PIECES = 8

JSON_TYPE = "application/json"

# Below the directory that the benchmark makes: files to serve, and to store.
FILES, UPLOADS, DOCUMENT = "files", "uploads", "document.json"


def directory() -> Path:
    """The directory with the files, as the benchmark names it to the servers."""
    return Path(os.environ["BENCHMARK_DIRECTORY"])


def document() -> bytes:
    """128 KiB of JSON, to be compressed on the fly."""
    return (directory() / FILES / DOCUMENT).read_bytes()
