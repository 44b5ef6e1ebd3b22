"""Requests and responses by the name of their old module, until all imports have followed."""

from trio_http.semantics.request import Request as Request  # noqa: PLC0414
from trio_http.semantics.request import decoded as decoded  # noqa: PLC0414
from trio_http.semantics.response import Compress as Compress  # noqa: PLC0414
from trio_http.semantics.response import Response as Response  # noqa: PLC0414
