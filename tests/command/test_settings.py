"""Tests of settings: environment variables, configuration files and --show-settings."""

import math
import tomllib
from pathlib import Path

import pytest
from support import CHECKOUT

from trio_http.command.settings import (
    Setting,
    Settings,
    check_environment,
    numbers,
    read_file,
    variable_of,
)
from trio_http.command.wrong_use import WrongUseError
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts

KNOWN = ["bind", "timeout-idle", "limit-head"]


def settings_of(**values: object) -> Settings:
    found = {name.replace("_", "-"): Setting(value, "somewhere") for name, value in values.items()}
    return Settings("files", None, found)


def test_numbers_include_timeouts_limits_and_behavior() -> None:
    found = {name: default for name, default, _ in numbers()}
    assert found["timeout-idle"] == Timeouts().idle
    assert found["limit-body"] == math.inf
    assert found["compress-min-size"] == Behavior().compress_min_size
    assert len(found) == 18


def test_variable_is_named_after_its_setting() -> None:
    assert variable_of("timeout-idle") == "TRIO_HTTP_TIMEOUT_IDLE"


def test_fields_of_builds_timeouts_limits_and_behavior() -> None:
    defaults = {name.replace("-", "_"): default for name, default, _ in numbers()}
    settings = settings_of(
        **{**defaults, "timeout_idle": 5, "limit_head": 100, "date": False, "fast_path": True}
    )
    assert settings.fields_of(Timeouts) == Timeouts(idle=5)
    assert settings.fields_of(Limits) == Limits(head=100)
    assert settings.fields_of(Behavior) == Behavior(date=False)


def test_shown_settings_are_a_valid_configuration_file() -> None:
    text = 'a "b" \\ \x1b[31m\ud800'
    shown = settings_of(
        bind=(":8000", "[::1]:80"),
        server_name=(),
        timeout_idle=0.5,
        limit_head=32768,
        limit_body=math.inf,
        workers=2,
        hidden=True,
        charset=None,
        cache_control="a\n\U0001f40d",
        directory=Path("a b"),
        config="x.toml",
        show_settings=True,
    ).shown()
    assert all(line.endswith("  # somewhere") for line in shown.splitlines())
    assert "\n# charset is not set  " in shown
    assert tomllib.loads(shown) == {
        "bind": [":8000", "[::1]:80"],
        "server-name": [],
        "timeout-idle": 0.5,
        "limit-head": "32KiB",
        "limit-body": "none",
        "workers": 2,
        "hidden": True,
        "cache-control": "a\n\U0001f40d",
        "directory": "a b",
    }
    escaped = settings_of(charset=text).shown()
    assert escaped == 'charset = "a \\"b\\" \\\\ \\U0000001b[31m\\U0000d800"  # somewhere\n'


def test_read_file_returns_settings(tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text('bind = [":80"]\ntimeout-idle = 5\n')
    assert read_file(str(file), KNOWN) == {"bind": [":80"], "timeout-idle": 5}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read {}: No such file or directory"),
        (b"bind = ", r"{} is not valid TOML: Invalid value \(at end of document\)"),
        (b"\xff", "{} is not valid TOML: 'utf-8' codec can't decode"),
        (b"timeout_idle = 5", "{}: unknown setting timeout_idle: did you mean timeout-idle?"),
        (b"[timeout]\nidle = 5", "{}: unknown setting timeout: did you mean timeout-idle?"),
        (b"xyz = 5", "{}: unknown setting xyz: --help lists all settings"),
    ],
)
def test_invalid_file_is_wrong_use_with_its_reason(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "file.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(WrongUseError, match=f"^{reason.format(file)}".replace("?", r"\?")):
        read_file(str(file), KNOWN)


def test_known_and_foreign_variables_pass() -> None:
    check_environment(["TRIO_HTTP_BIND", "PATH", "_TRIO_HTTP_WORKER", "TRIO_HTTP"], KNOWN)


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("TRIO_HTTP_BIN", "did you mean TRIO_HTTP_BIND?"),
        ("TRIO_HTTP_XYZ", "--help lists all settings"),
        ("TRIO_HTTP_", "--help lists all settings"),
    ],
)
def test_unknown_variable_is_wrong_use(variable: str, reason: str) -> None:
    with pytest.raises(WrongUseError) as caught:
        check_environment(["PATH", variable], KNOWN)
    assert str(caught.value) == f"unknown setting {variable} in the environment: {reason}"


def test_readme_table_lists_all_numbers() -> None:
    rows = ["| option | default | meaning |", "|---|--:|---|"]
    for name, default, quantity in numbers():
        rows.append(f"| `--{name}` | {quantity.text_of(default)} | {quantity.meaning} |")
    table = "\n".join(rows)
    assert f"\n\n{table}\n\n" in (CHECKOUT / "README.md").read_text(), f"it lacks:\n{table}"
