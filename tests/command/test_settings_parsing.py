"""Tests of parsing: precedence of the sources, error messages and help."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import environment

from trio_http import __version__
from trio_http.command.settings import Setting, Settings
from trio_http.command.settings_parsing import parse
from trio_http.command.wrong_use import WrongUseError

COMMANDS = {"challenge": [], "files": ["."], "app": ["hello:app"]}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty directory, and remove all settings from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in os.environ:
        if name.startswith("TRIO_HTTP_"):
            monkeypatch.delenv(name)
    return tmp_path


def settings_for(line: str) -> Settings:
    settings = parse(line.split())
    assert settings is not None
    return settings


def error_of(*arguments: str) -> str:
    with pytest.raises(WrongUseError) as caught:
        parse(arguments)
    return str(caught.value)


# Precedence


def test_unset_settings_have_defaults() -> None:
    settings = settings_for("files .")
    assert (settings.command, settings.argument) == ("files", Path())
    assert settings.given["bind"] == Setting(("localhost:4221",), "default")
    assert settings.given["timeout-idle"] == Setting(75, "default")
    assert settings["hidden"] is False
    assert settings["workers"] is None
    assert {setting.source for setting in settings.given.values()} == {"default"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_accepts_the_common_settings(command: str) -> None:
    settings = settings_for(
        f"{command} {' '.join(COMMANDS[command])} -b :80 --bind [::1]:81 -w 2 --timeout-head 5min "
        "--limit-head 64KiB --limit-body none --connections 9 --no-date --log-level error"
    )
    assert settings["bind"] == (":80", "[::1]:81")
    assert settings["workers"] == 2
    assert settings["timeout-head"] == 300
    assert settings["limit-head"] == 65536
    assert settings["limit-body"] == float("inf")
    assert settings["limit-connections"] == 9
    assert settings["date"] is False
    assert settings["log-level"] == "error"


@pytest.mark.parametrize(
    ("line", "variable", "file", "expected"),
    [
        ("--timeout-idle 1", "2", "timeout-idle = 3", Setting(1, "command line")),
        ("", "2", "timeout-idle = 3", Setting(2, "TRIO_HTTP_TIMEOUT_IDLE")),
        ("", "", "timeout-idle = 3", Setting(3, "a.toml")),  # an empty variable counts as unset
        ("", "", "", Setting(75, "default")),
    ],
)
def test_command_line_overrides_environment_overrides_file(
    monkeypatch: pytest.MonkeyPatch, line: str, variable: str, file: str, expected: Setting
) -> None:
    monkeypatch.setenv("TRIO_HTTP_TIMEOUT_IDLE", variable)
    Path("a.toml").write_text(file)
    settings = settings_for(f"files . {line} --config a.toml")
    assert settings.given["timeout-idle"] == expected


def test_config_variable_names_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "a.toml").write_text('limit-head = "64KiB"\nlimit-skip = 0')
    monkeypatch.setenv("TRIO_HTTP_CONFIG", "a.toml")
    settings = settings_for("files .")
    assert settings.given["limit-head"] == Setting(65536, "a.toml")
    assert settings.given["limit-skip"] == Setting(0, "a.toml")


def test_file_sets_every_kind_of_setting(directory: Path) -> None:
    (directory / "a.toml").write_text(
        'bind = ":80"\nserver-name = ["a", "b"]\nhidden = true\nlisting = false\nworkers = 2\n'
        'timeout-idle = 0.5\nlog-level = "error"\ncharset = "koi8-r"\n'
        'directory = "nowhere"\n'  # an option of another command
    )
    settings = settings_for("files . --config a.toml")
    assert settings["bind"] == (":80",)
    assert settings["server-name"] == ("a", "b")
    assert (settings["hidden"], settings["listing"]) == (True, False)
    assert (settings["workers"], settings["timeout-idle"]) == (2, 0.5)
    assert (settings["log-level"], settings["charset"]) == ("error", "koi8-r")


def test_variable_holds_several_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_HTTP_BIND", ":80 [::1]:81")
    assert settings_for("files .")["bind"] == (":80", "[::1]:81")


@pytest.mark.parametrize(("text", "expected"), [("yes", True), ("0", False), ("", False)])
def test_yes_or_no_variable_sets_a_flag(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: object
) -> None:
    monkeypatch.setenv("TRIO_HTTP_HIDDEN", text)
    assert settings_for("files .")["hidden"] is expected
    assert settings_for("files . --no-hidden")["hidden"] is False


def test_setting_of_another_command_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_HTTP_DIRECTORY", "nowhere")
    settings_for("app hello:app")


@pytest.mark.parametrize(
    ("line", "environment", "expected"),
    [
        ("-p 80", {}, ("localhost:80", "command line")),
        ("--port 80", {"BIND": ":81"}, ("localhost:80", "command line")),
        ("--bind :81", {"PORT": "80"}, (":81", "command line")),
        ("", {"PORT": "80"}, ("localhost:80", "TRIO_HTTP_PORT")),
    ],
)
def test_port_binds_to_localhost(
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    environment: dict[str, str],
    expected: tuple[str, str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"TRIO_HTTP_{name}", value)
    bind, source = expected
    assert settings_for(f"files . {line}").given["bind"] == Setting((bind,), source)


# Mistakes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "missing command: see trio-http --help"),
        ("serve", "no such command 'serve': see trio-http --help"),
        ("--nonsense", "no such option --nonsense: see trio-http --help"),
        ("challenge --nonsense", "no such option --nonsense: see trio-http challenge --help"),
        ("challenge --director .", "no such option --director (did you mean --directory?): see "),
        ("challenge more", "got unexpected extra argument (more): see trio-http challenge --help"),
        ("challenge --directory", "option '--directory' requires an argument: see trio-http chal"),
        ("challenge --directory nowhere", "--directory: cannot serve nowhere: No such file or "),
        ("challenge --directory file", "--directory: cannot serve file: Not a directory"),
        ("challenge --server-name a:80", "--server-name: not a domain name or an IP address "),
        ("files . --server-name *", "--server-name: not a domain name or an IP address "),
        ("files . --server-name http://a/", "--server-name: not a domain name or an IP address "),
        ("app hello:app --server-name a", "no such option --server-name"),
        ("files", "DIR is missing: see trio-http files --help"),
        ("files nowhere", "DIR: cannot serve nowhere: No such file or directory"),
        ("files . --hidden=yes", "option '--hidden' does not take a value: see trio-http files "),
        ("app", "MODULE:NAME is missing: see trio-http app --help"),
        ("files . --config nowhere", "cannot read nowhere: No such file or directory"),
        (
            "files . -p 80 -b :81",
            "both --port (command line) and --bind (command line) are given: use --bind HOST:80 ",
        ),
    ],
)
def test_wrong_arguments_are_one_line(directory: Path, line: str, expected: str) -> None:
    (directory / "file").touch()
    said = error_of(*line.split())
    assert said.startswith(expected)
    assert "\n" not in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--bind nonsense", "--bind: not a valid HOST:PORT, such as 127.0.0.1:8000 or [::1]:8000"),
        ("-b ::1:80", "--bind: not a valid HOST:PORT, such as "),
        ("--bind localhost:65536", "--bind: not a valid HOST:PORT, such as "),
        (f"--bind localhost:{'9' * 5000}", "--bind: not a valid HOST:PORT, such as "),
        (f"--bind localhost:{'0' * 5000}", "--bind: not a valid HOST:PORT, such as "),
        ("--workers 0", "--workers: not a valid number of processes (1 to "),
        ("-w some", "--workers: not a valid number of processes (1 to "),
        ("--connections 0", "--limit-connections: must be 1 or more, not 0"),
        (
            "--connections many",
            "--limit-connections: not a valid number of connections, such as 1000 ",
        ),
        ("--timeout-idle 0", "--timeout-idle: must be 0.001 or more, not 0"),
        (
            "--limit-head none",
            "--limit-head: not a valid number of bytes, such as 32768 or 32KiB: none",
        ),
        ("--log-level quiet", "--log-level: 'quiet' is not one of 'info', 'warning', 'error'"),
    ],
)
def test_wrong_options_are_one_line_for_every_command(
    command: str, options: str, expected: str
) -> None:
    assert error_of(command, *COMMANDS[command], *options.split()).startswith(expected)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("BIND", "nonsense", "TRIO_HTTP_BIND: not a valid HOST:PORT, such as "),
        ("HIDDEN", "it's", "TRIO_HTTP_HIDDEN: must be yes or no, not it's"),
        ("LOG_LEVEL", "x", "TRIO_HTTP_LOG_LEVEL: 'x' is not one of "),
        ("LIMIT_HEAD", "32k", "TRIO_HTTP_LIMIT_HEAD: not a valid number of bytes, such as "),
        ("CONFIG", "nowhere", "cannot read nowhere: "),
        ("CONECTIONS", "5", "unknown setting TRIO_HTTP_CONECTIONS in the environment: "),
    ],
)
def test_wrong_variable_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"TRIO_HTTP_{variable}", value)
    assert error_of("files", ".").startswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("bind = 5", "bind must be a string or a list of strings, not 5"),
        ("bind = [5]", "bind must be a string or a list of strings, not [5]"),
        ("bind = true", "bind must be a string or a list of strings, not True"),
        ("hidden = 'yes'", "hidden must be true or false, not yes"),
        ("hidden = 1", "hidden must be true or false, not 1"),
        ("timeout-idle = true", "timeout-idle must be a string or a number, not True"),
        ("timeout-idle = [1]", "timeout-idle must be a string or a number, not [1]"),
        ("charset = 1979-05-27", "charset must be a string or a number, not 1979-05-27"),
        ("timeout-idle = 'x'", "timeout-idle: not a valid number of seconds, such as "),
        ("timeout-idle = 0", "timeout-idle: must be 0.001 or more, not 0"),
        ("workers = 'x'", "workers: not a valid number of processes (1 to "),
        ("log-level = 5", "log-level: 5 is not one of 'info', 'warning', 'error'"),
        ("config = 'a.toml'", "unknown setting config"),
        ("show-settings = true", "unknown setting show-settings"),
    ],
)
def test_wrong_value_in_a_file_is_one_line(directory: Path, content: str, expected: str) -> None:
    (directory / "a.toml").write_text(content)
    said = error_of("files", ".", "--config", "a.toml")
    assert said.replace("'5'", "5").startswith(f"a.toml: {expected}")


# Help and version


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert parse(arguments) is None
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_printed(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert printed(capsys, option) == f"trio-http {__version__}\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str], option: str) -> None:
    text = printed(capsys, option)
    assert text.startswith("Usage: trio-http ")
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", text, re.MULTILINE)
    assert "..." not in text.partition("Commands:")[2]  # no text is cut off


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("challenge", "--directory DIR"),
        ("challenge", "--server-name NAME"),
        ("files", "DIR"),
        ("files", "--listing / --no-listing"),
        ("files", "--hidden / --no-hidden"),
        ("files", "--follow-links"),
        ("files", "--writable"),
        ("files", "--precompressed"),
        ("files", "--charset NAME"),
        ("files", "--allow-remote-writes"),
        ("files", "--cache-control TEXT"),
        ("files", "--server-name NAME"),
        ("app", "MODULE:NAME"),
    ],
)
def test_help_of_a_command_describes_its_options(
    capsys: pytest.CaptureFixture[str], command: str, own: str
) -> None:
    text = printed(capsys, command, "--help")
    assert text.startswith(f"Usage: trio-http {command} ")
    common = ["-b, --bind HOST:PORT", "-p, --port PORT", "-w, --workers N|auto", "--log-level "]
    common += ["--date / --no-date", "--fast-path", "--config FILE", "--show-settings"]
    common += ["--timeout-idle SECONDS", "--limit-head BYTES", "--limit-fields N", "-h, --help"]
    for option in (*common, "--limit-connections, --connections N", own):
        assert option in text, option
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "None" not in text


def test_help_loads_neither_trio_nor_h11() -> None:
    program = (
        "import sys; from trio_http.command.settings_parsing import parse\n"
        "parse(['files', '--help'])\n"
        "assert {'trio', 'h11'}.isdisjoint(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(), timeout=30, check=True)
