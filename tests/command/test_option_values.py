"""Tests of the parsers of option values."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import as_unprivileged_user

from trio_http.command import option_values, processors


def test_valid_values_are_returned(tmp_path: Path) -> None:
    assert option_values.address("[::1]:80") == "[::1]:80"
    assert option_values.port("0") == 0
    assert option_values.port("65535") == 65535
    assert option_values.host("Files.Example.org.") == "files.example.org"
    assert option_values.directory(str(tmp_path)) == tmp_path


def test_directory_without_execute_permission_raises_value_error(public: Path) -> None:
    (public / "in").mkdir(mode=0o311)
    (public / "closed").mkdir(mode=0o600)
    with as_unprivileged_user():
        assert option_values.directory(str(public / "in")) == public / "in"
        with pytest.raises(ValueError, match="Permission denied"):
            option_values.directory(str(public / "closed"))


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (option_values.address, "nonsense", "not a valid HOST:PORT, such as .*: nonsense"),
        (option_values.port, "65536", r"not a valid port number \(0 to 65535\): 65536"),
        (option_values.port, "-1", r"not a valid port number \(0 to 65535\): -1"),
        (option_values.port, "\u0663", r"not a valid port number \(0 to 65535\): \u0663"),
        (option_values.port, "9" * 5000, r"not a valid port number \(0 to 65535\): 9"),
        (option_values.host, "a:80", "not a domain name or an IP address without a port: a:80"),
        (option_values.directory, "no/where", "cannot serve no/where: No such file or directory"),
        (
            option_values.directory,
            "",
            "the name of the directory is empty",
        ),  # an unset shell variable
        (option_values.directory, "long" * 100, "cannot serve long.*: File name too long"),
    ],
)
def test_invalid_value_raises_value_error(
    read: Callable[[str], object], text: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read(text)


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "processors", lambda: 2)


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("3", 3), ("128", 128), ("auto", 2)])
@pytest.mark.usefixtures("two_processors")
def test_workers_parses_numbers_and_auto(text: str, expected: int) -> None:
    assert option_values.workers(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", r"not a valid number of processes \(1 to 128, or auto\): 0"),
        ("some", r"not a valid number of processes \(1 to 128, or auto\): some"),
        ("9" * 5000, r"not a valid number of processes \(1 to 128, or auto\): 9"),
        ("129", r"must be at most 128 processes \(64 per processor\), not 129"),
    ],
)
@pytest.mark.usefixtures("two_processors")
def test_invalid_number_of_workers_raises_value_error(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        option_values.workers(text)


@pytest.mark.usefixtures("two_processors")
def test_two_workers_on_system_without_workers_raise_value_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(option_values, "CAN_HAVE_WORKERS", False)
    assert option_values.workers("1") == 1
    for text in ("2", "auto"):
        with pytest.raises(ValueError, match=f"this system allows only one process: {text}"):
            option_values.workers(text)
