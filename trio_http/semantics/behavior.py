"""What the server does by its own choice: no limit, and nothing that a client asks for."""

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
    """What the server does with every response and request, as far as that is a choice.

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
            "A packet carries 1460 bytes anyway, so that less saves none.",
        ),
    )
    # The last of the fields: tests change its default.
    fast_path: bool = described(
        True,  # noqa: FBT003 - the default of a field
        Switch(
            "handle simple requests without h11, which is faster",
            "Both do the same, which can be checked by switching one off.",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
