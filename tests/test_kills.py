"""The program that kills servers works, and notices what it is for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from kills import LINE, content_of, version_in
from support import CHECKOUT


def run_kills(directory: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.kills", str(directory), *options],
        cwd=CHECKOUT,
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )


def test_files_survive_three_kills(tmp_path: Path) -> None:
    ended = run_kills(tmp_path, "--rounds", "3")
    assert (ended.returncode, ended.stderr) == (0, "")
    figures = r"with(?:out)? O_TMPFILE: (\d) kills, .* 0 torn, 0 neither old nor new; .* 0 after"
    assert re.findall(figures, ended.stdout) == ["2", "1"]


def test_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run_kills(tmp_path)
    assert (ended.returncode, ended.stderr.splitlines()[-1][-12:]) == (2, "is not empty")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (content_of(7, 3), 7),
        (b"", None),  # made, but not written
        (content_of(7, 3)[:-1], None),
        (content_of(7, 3)[:-LINE], None),
        (content_of(7, 3) + content_of(7, 3)[:LINE], None),
        (content_of(8, 3)[:LINE] + content_of(7, 3)[LINE:], None),  # half of each
        (b"something else", None),
    ],
)
def test_torn_file_is_told_from_a_whole_one(content: bytes, expected: int | None) -> None:
    assert version_in(content) == expected
