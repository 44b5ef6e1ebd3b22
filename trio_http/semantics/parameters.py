"""Names with values, as queries and forms carry them: in order, and repeatable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

# More than any form that people fill in; each costs memory and time.
MOST = 1000


class Parameters:
    """Pairs of texts; ``[name]`` gives the first value of a name, ``all(name)`` all of them."""

    __slots__ = ("pairs",)
    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    @classmethod
    def parse(cls, text: str) -> Parameters:
        """The pairs of an ``application/x-www-form-urlencoded`` text, such as a query.

        Bytes that are no UTF-8 survive as surrogates; more than a thousand
        pairs raise ``ValueError``.
        """
        return cls(
            parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST)
        )

    def all(self, name: str) -> list[str]:
        """Every value of a name, in order."""
        return [value for found, value in self.pairs if found == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a name, or the default."""
        return next((value for found, value in self.pairs if found == name), default)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return self.pairs == other.pairs if isinstance(other, Parameters) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Parameters({list(self.pairs)!r})"
