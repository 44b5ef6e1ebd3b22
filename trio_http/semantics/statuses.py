"""Statuses of responses without content, regardless of their header fields."""

from __future__ import annotations

# RFC 9110 15.3.5, 15.3.6 and 15.4.5.
WITHOUT_CONTENT = frozenset({204, 205, 304})

# These responses have no Content-Length either; clients expect no body (RFC 9110 8.6, RFC 9112
# 6.3).
WITHOUT_LENGTH = frozenset({204, 304})
