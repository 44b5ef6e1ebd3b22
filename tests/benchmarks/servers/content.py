"""The content of the responses of every server, so that all do the same work."""

from __future__ import annotations

import os
from pathlib import Path

TEXT = "Hello, world!"
TEXT_TYPE = "text/plain; charset=utf-8"
STREAM_TYPE = "application/octet-stream"

# A streamed response without a Content-Length, sent in pieces.
PIECE = b"0123456789abcdef" * 64
PIECES = 8

JSON_TYPE = "application/json"

# Directories below that of the benchmark: files to serve, and files to store.
FILES, UPLOADS, DOCUMENT = "files", "uploads", "document.json"


def directory() -> Path:
    """Return the directory with the files, which the benchmark sets in the environment."""
    return Path(os.environ["BENCHMARK_DIRECTORY"])


def document() -> bytes:
    """Return 128 KiB of JSON, to be compressed on the fly."""
    return (directory() / FILES / DOCUMENT).read_bytes()
