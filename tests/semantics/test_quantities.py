"""Tests of described numbers: parsing, formatting and checks."""

import math
from dataclasses import dataclass

import pytest

from trio_http.semantics.quantities import (
    Quantity,
    Switch,
    check,
    described,
    documented,
    quantities_of,
)

SECONDS = Quantity("seconds", "seconds to wait", "Because.")
BYTES = Quantity("bytes", "maximum bytes", "Because.")
MEMORY = Quantity("bytes", "maximum bytes in memory", "Because.", least=10, most=1024**2)
FIELDS = Quantity("fields", "maximum fields", "Because.")
CONNECTIONS = Quantity("connections", "maximum connections", "Because.", least=1)


@pytest.mark.parametrize(
    ("quantity", "text", "expected"),
    [
        (SECONDS, "75", 75),
        (SECONDS, "0", 0),
        (SECONDS, "2.5", 2.5),
        (SECONDS, "2.5 s", 2.5),
        (SECONDS, "500ms", 0.5),
        (SECONDS, "5min", 300),
        (SECONDS, "1h", 3600),
        (SECONDS, "none", math.inf),
        (BYTES, "32768", 32768),
        (BYTES, "32768B", 32768),
        (BYTES, "32KiB", 32768),
        (BYTES, "32 kib", 32768),
        (BYTES, "1.5MiB", 1572864),
        (BYTES, "1kB", 1000),
        (BYTES, "2GB", 2 * 10**9),
        (BYTES, "1TiB", 2**40),
        (BYTES, "none", math.inf),
        (MEMORY, "1MiB", 1024**2),
        (FIELDS, "100", 100),
        (CONNECTIONS, "none", math.inf),
    ],
)
def test_parse_converts_to_the_unit(quantity: Quantity, text: str, expected: float) -> None:
    number = quantity.parse(text)
    assert number == expected
    assert isinstance(number, int) or quantity is SECONDS or number == math.inf


@pytest.mark.parametrize(
    ("quantity", "text", "reason"),
    [
        (
            SECONDS,
            "",
            r"not a valid number of seconds, such as 75, 500ms or 5min \(none: no limit\): ",
        ),
        (SECONDS, "-1", "not a valid number of seconds, such as .*: -1"),
        (SECONDS, "1e3", "not a valid number of seconds, such as .*: 1e3"),
        (SECONDS, "1,5", "not a valid number of seconds, such as .*: 1,5"),
        (SECONDS, "nan", "not a valid number of seconds, such as .*: nan"),
        (SECONDS, "inf", "not a valid number of seconds, such as .*: inf"),
        (SECONDS, "None", "not a valid number of seconds, such as .*: None"),
        (SECONDS, "75KiB", "not a valid number of seconds, such as .*: 75KiB"),
        (SECONDS, "\u0663", "not a valid number of seconds, such as .*: \u0663"),
        (SECONDS, "9" * 5000, "not a valid number of seconds, such as .*: 9"),
        (
            BYTES,
            "32k",
            r"not a valid number of bytes, such as 32768 or 32KiB \(none: no limit\): 32k",
        ),
        (BYTES, "1.5", "not a whole number of bytes: 1.5"),
        (MEMORY, "none", "not a valid number of bytes, such as 32768 or 32KiB: none"),
        (MEMORY, "9", "must be 10 or more, not 9"),
        (MEMORY, "1GiB", "must be at most 1MiB, not 1073741824"),
        (FIELDS, "many", r"not a valid number of fields, such as 100 \(none: no limit\): many"),
        (FIELDS, "1 KiB", "not a valid number of fields, such as .*: 1 KiB"),
        (CONNECTIONS, "0", "must be 1 or more, not 0"),
        (
            CONNECTIONS,
            "many",
            "not a valid number of connections, such as 1000 .*: many",
        ),
    ],
)
def test_malformed_text_raises_value_error(quantity: Quantity, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("quantity", "number", "text"),
    [
        (SECONDS, 75, "75"),
        (SECONDS, 0.001, "0.001"),
        (SECONDS, 3600.5, "3600.5"),
        (SECONDS, math.inf, "none"),
        (BYTES, 0, "0"),
        (BYTES, 1000, "1000"),
        (BYTES, 32768, "32KiB"),
        (BYTES, 1536 * 1024, "1536KiB"),
        (BYTES, 1024**3, "1GiB"),
        (BYTES, math.inf, "none"),
        (CONNECTIONS, 16384, "16384"),
    ],
)
def test_formatted_number_parses_back(quantity: Quantity, number: float, text: str) -> None:
    assert quantity.text_of(number) == text
    assert quantity.parse(text) == number


@documented
@dataclass(frozen=True, slots=True)
class Numbers:
    """Some numbers.

    And something about them.
    """

    wait: float = described(5, SECONDS)
    memory: int = described(2048, MEMORY)
    is_odd: bool = described(False, Switch("whether it is odd", "No."))  # noqa: FBT003
    plain: int = 1


def test_quantities_of_yields_described_numbers() -> None:
    assert list(quantities_of(Numbers)) == [("wait", 5, SECONDS), ("memory", 2048, MEMORY)]
    assert list(quantities_of(Numbers(wait=1))) == list(quantities_of(Numbers))


@pytest.mark.parametrize(("wait", "memory"), [(0, 10), (5, 1024**2), (math.inf, 10)])
def test_valid_numbers_pass_the_check(wait: float, memory: int) -> None:
    check(Numbers(wait, memory))


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (Numbers(wait=-1), "wait must be 0 or more, not -1"),
        (Numbers(wait=math.nan, memory=0), "wait must be 0 or more, not nan"),
        (Numbers(memory=9), "memory must be 10 or more, not 9"),
        (Numbers(memory=2**21), "memory must be at most 1MiB, not 2097152"),
        (Numbers(memory=10.5), "memory must be a whole number, not 10.5"),  # type: ignore[arg-type] # what is tested
    ],
)
def test_error_names_the_first_invalid_number(numbers: Numbers, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        check(numbers)


def test_docstring_describes_each_field() -> None:
    assert Numbers.__doc__ == (
        "Some numbers.\n"
        "\n"
        "And something about them.\n"
        "\n"
        "Args:\n"
        "    wait: seconds to wait (default: 5). Because.\n"
        "    memory: maximum bytes in memory (default: 2KiB). Because.\n"
        "    is_odd: whether it is odd (default: no). No.\n"
    )
