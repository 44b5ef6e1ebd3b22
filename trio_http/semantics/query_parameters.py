"""The parameters of queries and forms: ordered, repeatable pairs of names and values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

# The maximum number of parameters. No form that people fill in has more, and each takes memory
# and time.
MOST = 1000


class Parameters:
    """The parameters of a query or a form, as pairs of texts.

    ``parameters["name"]`` is the first value of a name. It raises ``KeyError`` if there is
    none, which becomes a 500 in a handler; ``get`` returns None. Values are texts, even those
    of numbers.

    Attributes:
        pairs: all names with their values, in order.
    """

    __slots__ = ("pairs",)
    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    @classmethod
    def parse(cls, text: str) -> Parameters:
        """Return the parameters in an ``application/x-www-form-urlencoded`` text.

        Bytes that are not UTF-8 become surrogates.

        Raises:
            ValueError: there are more than 1000.
        """
        return cls(
            parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST)
        )

    def all(self, name: str) -> list[str]:
        """Return all values of a name, in order; an empty list if absent."""
        return [value for found, value in self.pairs if found == name]

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a name, or the default if the name is absent."""
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
