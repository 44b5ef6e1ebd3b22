"""Optional behavior of the server: neither limits nor choices of the client."""

from __future__ import annotations

from dataclasses import dataclass

from trio_http.semantics.quantities import (
    Quantity,
    Switch,
    check,
    described,
    documented,
)


@documented
@dataclass(frozen=True, slots=True)
class Behavior:
    """Configurable behavior of the server, which applies to all requests and responses.

    A negative ``compress_min_size`` raises ``ValueError``.
    """

    date: bool = described(
        True,  # noqa: FBT003 - the default of a field
        Switch("send a Date header", "RFC 9110 6.6.1 requires it of a server with a clock."),
    )
    compress_min_size: float = described(
        256,
        Quantity(
            "bytes",
            "minimum bytes of a response body that is worth a content coding",
            "A packet carries 1460 bytes anyway, so compressing fewer saves no packet.",
        ),
    )
    # The last field, because tests change its default.
    fast_path: bool = described(
        True,  # noqa: FBT003 - the default of a field
        Switch(
            "handle simple requests without h11, which is faster",
            "The results are the same with and without it.",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
