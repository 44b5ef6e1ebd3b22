"""What the values of options mean, and what is said of those that mean nothing."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import pytest
from support import as_unprivileged_user

from trio_http.command import arguments


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    assert arguments.address("[::1]:80") == "[::1]:80"
    assert arguments.host("Files.Example.org.") == "files.example.org"
    assert arguments.directory(str(tmp_path)) == tmp_path


def test_a_directory_has_to_be_entered_not_listed(public: Path) -> None:
    (public / "in").mkdir(mode=0o311)
    (public / "closed").mkdir(mode=0o600)
    with as_unprivileged_user():
        assert arguments.directory(str(public / "in")) == public / "in"
        with pytest.raises(ArgumentTypeError, match="Permission denied"):
            arguments.directory(str(public / "closed"))


@pytest.mark.parametrize(
    ("read", "text", "reason"),
    [
        (arguments.address, "nonsense", "not HOST:PORT, such as .*: nonsense"),
        (arguments.host, "a:80", "not a domain name or an IP address without a port: a:80"),
        (arguments.directory, "no/where", "cannot serve no/where: No such file or directory"),
    ],
)
def test_what_is_wrong_is_told(read: Callable[[str], object], text: str, reason: str) -> None:
    with pytest.raises(ArgumentTypeError, match=reason):
        read(text)
