"""Tests of skipped tests, on a build machine and elsewhere."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py")

TESTS = """
import pytest

def test_that_lacks_a_program():
    pytest.skip("curl is not installed")

@pytest.mark.skipif(True, reason="Chromium is not installed")
def test_that_is_marked():
    pass

def test_of_another_system():
    pytest.skip("this system has no such call")

@pytest.mark.xfail(reason="a program is not installed")
def test_that_is_expected_to_fail():
    assert False

def test_that_passes():
    pass
"""


@pytest.mark.parametrize(
    ("ci", "outcomes"),
    [
        ("", {"skipped": 3}),
        ("true", {"skipped": 1, "failed": 1, "errors": 1}),  # a mark fails before its test
    ],
)
def test_missing_program_fails_only_on_a_build_machine(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcomes: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-ra")
    assert result.parseoutcomes() == {"passed": 1, "xfailed": 1, **outcomes}
    told = result.stdout.str()
    assert ("curl is not installed, and this is a build machine" in told) == bool(ci)
    assert "this system has no such call" in told  # in the summary, like every skip
