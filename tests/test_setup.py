"""Tests of the first start from a bare checkout: its set-up, and messages about failures.

Nothing is installed. The interpreters on the path are shell scripts that record their
arguments, and each test has its own path with little else on it.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import CHECKOUT

from trio_http.command.settings_parsing import COMMANDS

# Programs that the scripts call, and that the fake interpreters call (the last two).
TOOLS = (
    *("cat", "dirname", "grep", "readlink", "rm", "sed", "tail"),
    *("awk", "cut", "getconf", "id", "mktemp", "sh", "sort", "tr", "xargs"),  # .ci/run
    *("ln", "mkdir"),
)

# A real interpreter runs code, and takes itself for this one. Modules are only recorded instead
# of being run. The server prints its process and directory and its arguments, then repeats its
# input.
PYTHON = """#!/bin/sh
if [ "$2" = -c ]; then
    exec "{real}" -I -c "import sys
sys.executable = '$0'
{prelude}
$3"
fi
echo "$3" >>"{calls}"
case $3 in
    venv) mkdir -p "$4/bin" && ln -s "$0" "$4/bin/python" ;;
    pip) {pip} ;;
    trio_http) echo $$; pwd; printf '%s\\n' "$@"; cat ;;
esac
"""

UV = """#!/bin/sh
echo "uv $1" >>"{calls}"
case $1 in
    python) {find} ;;
    venv) mkdir -p "$5/bin" && ln -s "$4" "$5/bin/python" ;;
    pip) {pip} ;;
esac
"""

# Stands in for ruff, mypy and coverage, which pip installs next to the interpreter.
CHECKER = """#!/bin/sh
echo "${{0##*/}} $*" >>"{calls}"
{check}
"""
INSTALL_CHECKERS = """
for name in ruff mypy coverage; do ln -s "{checker}" "${{0%/*}}/$name"; done"""

# Stands in for the check of the wheel, which installs packages.
PACKAGE = """#!/bin/sh
echo "check of the wheel" >>"{calls}"
"""

SERVER = ["-P", "-m", "trio_http", "challenge", "--no-date"]
TOO_OLD = "sys.version_info = (3, 10)"
OTHER_VERSION = "import platform; platform.python_version = lambda: '3.99.1'"
WITHOUT_VENV = "sys.modules['ensurepip'] = None"
WITHOUT_LOCKS = "sys.modules['fcntl'] = None"


@dataclass(frozen=True, slots=True)
class Machine:
    """A checkout whose name needs quoting, and the programs on the path."""

    home: Path

    @property
    def checkout(self) -> Path:
        return self.home / "my files" / "check out"

    @property
    def path(self) -> Path:
        return self.home / "bin"

    def calls(self) -> list[str]:
        return (self.home / "calls").read_text().splitlines()

    def put(self, name: str, script: str, **blanks: str) -> Path:
        """Write a script to the path, with its blanks filled in."""
        file = self.path / name
        file.unlink(missing_ok=True)  # it may be a link to the real program
        file.write_text(script.format(calls=self.home / "calls", **blanks))
        file.chmod(0o755)
        return file

    def put_python(self, name: str = "python3", *, prelude: str = "", pip: str = ":") -> Path:
        real = str(Path(sys.executable).resolve())
        return self.put(name, PYTHON, real=real, prelude=prelude, pip=pip)

    @property
    def pip_of_checkers(self) -> str:
        """The script of pip if checkers are installed."""
        return INSTALL_CHECKERS.format(checker=self.path / "checker")

    def put_checkers(self, check: str) -> None:
        self.put("checker", CHECKER, check=check)
        self.put_python(pip=self.pip_of_checkers)

    @contextmanager
    def running(self, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            command,
            cwd=self.home,
            env={"PATH": str(self.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *command: str | Path, stdin: str = "") -> "Outcome":
        with self.running(*command) as process:
            stdout, stderr = process.communicate(stdin, timeout=60)
            return Outcome(process.returncode, stdout.splitlines(), stderr.splitlines())

    def start(self, *arguments: str) -> "Outcome":
        return self.run(self.checkout / "your_program.sh", *arguments)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit status and the output of a program that has ended."""

    status: int
    stdout: list[str]
    stderr: list[str]


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine without any Python."""
    machine = Machine(tmp_path)
    for name in ("your_program.sh", ".setup", "pyproject.toml", "tests/run", ".ci/run"):
        copy = machine.checkout / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, copy)
    machine.path.mkdir()
    machine.put("package", PACKAGE).rename(machine.checkout / ".ci/package")
    for name in TOOLS:
        tool = shutil.which(name)
        assert tool, name
        (machine.path / name).symlink_to(tool)
    (tmp_path / "calls").touch()
    return machine


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """A machine with a complete `python3`."""
    bare.put_python()
    return bare


# The first start


def test_first_start_sets_up_with_one_line_and_serves(machine: Machine) -> None:
    outcome = machine.start()
    assert machine.calls() == ["venv", "pip", "trio_http"]
    assert outcome.status == 0
    (line,) = outcome.stderr
    assert line.startswith("your_program.sh: setting up .venv with ")


def test_checkout_is_installed_as_editable(machine: Machine) -> None:
    asked = machine.home / "asked"
    machine.put_python(pip=f'{{ pwd; echo "$*"; }} >"{asked}"')
    machine.start()
    folder, arguments = asked.read_text().splitlines()
    assert folder == str(machine.checkout)
    assert arguments.endswith(" --editable .[codings]")
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    codings = [re.split("[>=; ]", each)[0] for each in project["optional-dependencies"]["codings"]]
    for coding in codings:
        assert f" --only-binary {coding.replace('.', '-')} " in arguments


def test_codings_without_wheels_are_omitted_silently(machine: Machine) -> None:
    asked = machine.home / "asked"
    machine.put_python(pip=f'echo "$*" >>"{asked}"; case $* in *only-binary*) exit 1 ;; esac')
    outcome = machine.start()
    assert machine.calls() == ["venv", "pip", "pip", "trio_http"]
    assert [line.partition("--editable ")[2] for line in asked.read_text().splitlines()] == [
        ".[codings]",
        ".",
    ]
    (line,) = outcome.stderr
    assert line.startswith("your_program.sh: setting up .venv with ")


def test_commands_are_passed_to_trio_http(machine: Machine) -> None:
    for command in set(COMMANDS) - {"challenge"}:
        outcome = machine.start(command, "a  b", "--no-date")
        assert outcome.stdout[2:] == ["-P", "-m", "trio_http", command, "a  b", "--no-date"]


@pytest.mark.parametrize("arguments", [["file"], ["--directory", "files"], [""], ["challenge"]])
def test_other_arguments_are_passed_to_the_challenge(
    machine: Machine, arguments: list[str]
) -> None:
    assert machine.start(*arguments).stdout[2:] == [*SERVER, *arguments]


def test_server_gets_the_arguments_and_the_current_directory_unchanged(machine: Machine) -> None:
    outcome = machine.start("--directory", "a  b", "", "*", "$HOME")
    _, folder, *arguments = outcome.stdout
    assert folder == str(machine.home)
    assert arguments == [*SERVER, "--directory", "a  b", "", "*", "$HOME"]


def test_server_gets_its_whole_input_even_if_pip_would_read_it(machine: Machine) -> None:
    machine.put_python(pip="cat")
    outcome = machine.run(machine.checkout / "your_program.sh", stdin="for the server\n")
    assert outcome.stdout[-1] == "for the server"


def test_server_replaces_the_process_of_the_script(machine: Machine) -> None:
    with machine.running(machine.checkout / "your_program.sh") as process:
        stdout, _ = process.communicate(timeout=60)
        assert int(stdout.splitlines()[0]) == process.pid


def test_links_to_the_script_use_its_checkout(machine: Machine) -> None:
    links = machine.home / "links"
    links.mkdir()
    (links / "absolute").symlink_to(machine.checkout / "your_program.sh")
    (links / "relative").symlink_to("absolute")
    (machine.path / "serve").symlink_to("../links/relative")
    (machine.home / "folder").symlink_to(machine.checkout)
    for command in ("links/relative", "serve", "folder/your_program.sh"):
        assert machine.run("/bin/sh", "-c", command).stdout[2:] == SERVER
    # All three were the same checkout.
    assert machine.calls().count("pip") == 1


# Starting again


def test_second_start_only_serves(machine: Machine) -> None:
    machine.start()
    outcome = machine.start("--directory", "files")
    assert machine.calls() == ["venv", "pip", "trio_http", "trio_http"]
    assert outcome.stderr == []
    assert outcome.stdout[2:] == [*SERVER, "--directory", "files"]


def test_changed_project_is_set_up_again_once(machine: Machine) -> None:
    machine.start()
    with (machine.checkout / "pyproject.toml").open("a") as project:
        project.write("# a new dependency\n")
    machine.start()
    machine.start()
    assert machine.calls() == [*["venv", "pip", "trio_http"] * 2, "trio_http"]


def test_moved_checkout_is_set_up_again(machine: Machine) -> None:
    machine.start()
    moved = machine.checkout.rename(machine.home / "moved")
    machine.run(moved / "your_program.sh")
    assert machine.calls() == ["venv", "pip", "trio_http"] * 2


def test_environment_without_its_interpreter_is_set_up_again(machine: Machine) -> None:
    machine.start()
    (machine.path / "python3").unlink()
    machine.put_python("python3.13")
    assert machine.start().stdout[2:] == SERVER
    assert machine.calls() == ["venv", "pip", "trio_http"] * 2


# Choice of the interpreter


@pytest.mark.parametrize("name", ["python3.14", "python3.13", "python3.12", "python3.11", "python"])
def test_interpreter_is_found_after_ones_that_fail(bare: Machine, name: str) -> None:
    bare.put_python("python3", prelude=TOO_OLD)
    bare.put("python3.14", "#!/bin/sh\necho 'shim: command not found' >&2; exit 127")
    python = bare.put_python(name)
    (line,) = bare.start().stderr
    assert f" {python}, " in line


@pytest.mark.parametrize("prelude", [None, TOO_OLD])
def test_missing_recent_python_is_reported_in_one_line(bare: Machine, prelude: str | None) -> None:
    if prelude:
        bare.put_python(prelude=prelude)
    outcome = bare.start()
    assert outcome.status != 0
    assert outcome.stderr == ["your_program.sh: Python 3.11 or newer is required but was not found"]
    assert bare.calls() == []


def test_interpreters_of_uv_are_found_off_the_path(bare: Machine) -> None:
    python = bare.put_python().rename(bare.home / "python3")
    bare.put("uv", UV, find=f'echo "{python}"', pip=":")
    assert bare.start().stdout[2:] == SERVER
    assert bare.calls() == ["uv python", "uv venv", "uv pip", "trio_http"]


def test_uv_is_preferred_to_pip(machine: Machine) -> None:
    machine.put("uv", UV, find="exit 2", pip=":")
    assert machine.start().status == 0
    assert machine.calls()[1:] == ["uv venv", "uv pip", "trio_http"]


def test_pip_is_used_if_uv_fails(machine: Machine) -> None:
    machine.put("uv", UV, find="exit 2", pip="exit 2")
    assert machine.start().status == 0
    assert machine.calls()[1:] == ["uv venv", "uv pip", "uv pip", "venv", "pip", "trio_http"]


# Failures


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("ERROR: no such release\nnote: perhaps not our fault\n", "ERROR: no such release"),
        ("  OSError: disk full\nend of output\n", "OSError: disk full"),
        ("ERROR: one thing\n  ERROR: led to another\n", "ERROR: led to another"),
        ("out of luck\n", "out of luck"),  # not marked as an error: the last line
    ],
)
def test_failure_is_one_line_and_the_next_start_tries_again(
    machine: Machine, output: str, reason: str
) -> None:
    machine.put_python(pip=f"printf '{output}'; exit 1")
    outcome = machine.start()
    assert outcome.status != 0
    assert outcome.stdout == []
    _, line = outcome.stderr
    log = machine.checkout / ".venv.log"
    assert line == f"your_program.sh: setting up .venv failed, see {log}: {reason}"
    assert not (machine.checkout / ".venv").exists()

    machine.put_python()
    assert machine.start().stdout[2:] == SERVER
    assert machine.calls() == ["venv", "pip", "pip", "venv", "pip", "trio_http"]


def test_reason_is_not_that_of_an_earlier_failure(machine: Machine) -> None:
    machine.put_python(pip="echo 'ERROR: no network'; exit 1")
    machine.start()
    machine.put_python(pip="echo 'out of luck'; exit 1")
    assert machine.start().stderr[-1].endswith(": out of luck")


def test_python_without_venv_names_the_package_to_install(bare: Machine) -> None:
    bare.put_python(prelude=WITHOUT_VENV)
    outcome = bare.start()
    assert outcome.status != 0
    assert "apt install python3-venv" in outcome.stderr[-1]
    assert len(outcome.stderr) == 2
    assert bare.calls() == []


def test_nothing_is_set_up_without_the_lock(bare: Machine) -> None:
    bare.put_python(prelude=WITHOUT_LOCKS)
    outcome = bare.start()
    assert outcome.status != 0
    assert len(outcome.stderr) == 2
    assert bare.calls() == []


def test_checkout_that_cannot_be_written_is_reported_in_one_line(machine: Machine) -> None:
    # Permissions do not stop root, the user of many containers. This stops every user.
    (machine.checkout / ".venv.lock").mkdir()
    outcome = machine.start()
    assert outcome.status != 0
    (line,) = outcome.stderr
    assert line.endswith(f" {machine.checkout} is not writable")


# Several starts


def test_two_first_starts_set_up_once_and_both_serve(machine: Machine) -> None:
    # While this process holds both ends, opening never waits, and pip waits for input.
    os.mkfifo(machine.home / "gate")
    gate = os.open(machine.home / "gate", os.O_RDWR)
    machine.put_python(pip=f'read line <"{machine.home / "gate"}"')
    program = machine.checkout / "your_program.sh"
    with machine.running(program) as first, machine.running(program) as second:
        # Once both have announced a set-up, neither can still find a finished one.
        for process in (first, second):
            assert process.stderr
            assert "setting up" in process.stderr.readline()
        os.write(gate, b"\n\n")
        for process in (first, second):
            stdout, stderr = process.communicate(timeout=60)
            assert stdout.splitlines()[2:] == SERVER
            assert stderr == ""
    os.close(gate)
    assert machine.calls() == ["venv", "pip", "trio_http", "trio_http"]


def test_killed_set_up_does_not_block_or_count(machine: Machine) -> None:
    machine.put_python(pip='echo >"${0%/*}/half"; kill -9 0')
    assert machine.start().status == -9
    assert (machine.checkout / ".venv/bin/half").exists()

    machine.put_python()
    assert machine.start().stdout[2:] == SERVER
    assert not (machine.checkout / ".venv/bin/half").exists()


def test_partly_removed_environment_is_set_up_again(machine: Machine) -> None:
    machine.start()
    project = machine.checkout / "pyproject.toml"
    original = project.read_text()
    project.write_text("# changed\n")
    rm = shutil.which("rm")
    machine.put("rm", f'#!/bin/sh\n[ "$1" != -rf ] || kill -9 0; exec "{rm}" "$@"')
    assert machine.start().status == -9

    project.write_text(original)
    machine.put("rm", f'#!/bin/sh\nexec "{rm}" "$@"')
    assert machine.start().stdout[2:] == SERVER
    assert machine.calls() == ["venv", "pip", "trio_http"] * 2


def test_running_server_does_not_prevent_another_set_up(machine: Machine) -> None:
    with machine.running(machine.checkout / "your_program.sh") as process:
        assert process.stdout
        assert int(process.stdout.readline()) == process.pid  # it waits for input now
        (machine.checkout / "pyproject.toml").write_text("# changed\n")
        assert machine.start().stdout[2:] == SERVER
        assert process.poll() is None


# Running the tests


def test_tests_and_server_keep_each_others_set_up(machine: Machine) -> None:
    machine.put_checkers(":")
    for _ in range(2):
        assert machine.run(machine.checkout / "tests/run").status == 0
        assert machine.start().status == 0
    assert machine.calls().count("pip") == 2


def test_tests_install_their_dependencies(machine: Machine) -> None:
    machine.put_python(pip=f'echo "$*" >"{machine.home}/asked"')
    machine.run(machine.checkout / "tests/run")
    assert (machine.home / "asked").read_text().endswith(" --editable .[test]\n")


# The protocol's tests run once more, without the fast path past h11.
THE_OTHER_WAY = (
    "coverage run -m pytest -n auto -q --no-plain tests/http1/test_connection.py "
    "tests/http1/test_exchange.py tests/apps/test_challenge.py "
    "tests/file_server/test_app.py tests/serving/test_server.py"
)


@pytest.mark.parametrize("script", ["tests/run", ".ci/run"])
def test_all_checks_run_and_coverage_is_required(machine: Machine, script: str) -> None:
    machine.put_checkers(":")
    outcome = machine.run(machine.checkout / script)
    assert outcome.status == 0
    assert machine.calls() == [
        "venv",
        "pip",
        "ruff format --check .",
        "ruff check .",
        "mypy ",
        "coverage erase",
        "coverage run -m pytest -n auto",
        THE_OTHER_WAY,
        "coverage combine --quiet",
        "coverage report",
        *(["check of the wheel"] if script == ".ci/run" else []),
    ]
    assert [line for line in outcome.stdout if line.startswith("== ")] == [
        "== ruff format --check .",
        "== ruff check .",
        "== mypy",
        "== coverage run -m pytest -n auto",
        f"== {THE_OTHER_WAY}",
        "== coverage report",
    ]


def test_coverage_is_not_required_with_options_for_pytest(machine: Machine) -> None:
    machine.put_checkers(":")
    outcome = machine.run(machine.checkout / "tests/run", "-k", "a or b")
    assert "coverage run -m pytest -k a or b" in machine.calls()
    assert machine.calls()[-1] == "coverage report --fail-under=0"
    assert "not required" in outcome.stdout[-1]


def test_tests_run_with_the_given_interpreter(machine: Machine) -> None:
    machine.put_checkers(":")
    chosen = machine.put_python("chosen", prelude=OTHER_VERSION, pip=machine.pip_of_checkers)
    for option in (["--python", str(chosen)], [f"--python={chosen}"]):
        outcome = machine.run(machine.checkout / "tests/run", *option, "-k", "a")
        assert outcome.status == 0
        assert machine.calls()[-4] == "coverage erase"
        assert machine.calls()[-3] == "coverage run -m pytest -k a"
    assert (machine.checkout / ".venv.test.3.99.1/bin/python").readlink() == chosen
    assert machine.calls().count("pip") == 1
    assert not (machine.checkout / ".venv.test").exists()


@pytest.mark.parametrize("arguments", [["--python"], ["--python", "no/such"], ["--python=old"]])
def test_unsuitable_interpreter_is_refused_in_one_line(
    machine: Machine, arguments: list[str]
) -> None:
    machine.put_python("old", prelude=TOO_OLD)
    outcome = machine.run(machine.checkout / "tests/run", *arguments)
    assert outcome.status == 2
    (line,) = outcome.stderr
    assert line.startswith("run: ")
    assert machine.calls() == []


# Additional work of a build machine


@pytest.mark.parametrize(("check", "status"), [(":", 0), ('[ "$*" != "run -m pytest -n 1" ]', 123)])
def test_build_machine_runs_the_tests_on_every_other_python(
    machine: Machine, check: str, status: int
) -> None:
    machine.put_checkers(check)
    machine.put_python("python3.12", prelude=OTHER_VERSION, pip=machine.pip_of_checkers)
    machine.put_python("python3.13", prelude=TOO_OLD)
    machine.put_python("python3.14")  # the first one again
    outcome = machine.run(machine.checkout / ".ci/run")
    assert outcome.status == status
    assert outcome.stdout.count("== coverage run -m pytest -n auto") == 1
    assert outcome.stdout.count("== coverage run -m pytest -n 1") == 1
    assert f"==== {machine.path / 'python3.12'}" in outcome.stdout
    assert machine.calls().count("pip") == 2


def test_build_machine_stops_after_a_failure(machine: Machine) -> None:
    machine.put_checkers('[ "${0##*/}" != mypy ]')
    machine.put_python("python3.12", prelude=OTHER_VERSION)
    assert machine.run(machine.checkout / ".ci/run").status == 1
    assert machine.calls()[-1] == "mypy "


def test_build_machine_installs_missing_programs(machine: Machine) -> None:
    machine.put_checkers(":")
    machine.put("id", "#!/bin/sh\necho 0")
    machine.put("apt-get", '#!/bin/sh\necho "apt-get $*" >>"{calls}"')
    for name in ("chromium", "curl", "haproxy", "valgrind", "wrk"):
        machine.put(name, "#!/bin/sh")
    assert machine.run(machine.checkout / ".ci/run").status == 0
    assert machine.calls()[:3] == [
        "apt-get -qq update",
        "apt-get -qq -y --no-install-recommends install nginx-light acl util-linux",
        "venv",
    ]


def test_build_machine_without_root_installs_nothing(machine: Machine) -> None:
    machine.put_checkers(":")
    machine.put("id", "#!/bin/sh\necho 1000")
    machine.put("apt-get", '#!/bin/sh\necho "apt-get $*" >>"{calls}"')
    assert machine.run(machine.checkout / ".ci/run").status == 0
    assert machine.calls()[0] == "venv"


@pytest.mark.parametrize(
    ("failing", "last"),
    [
        ("ruff format", "ruff format --check ."),
        ("ruff check", "ruff check ."),
        ("mypy ", "mypy "),
        ("coverage run", "coverage run -m pytest -n auto"),
        ("coverage report", "coverage report"),
    ],
)
def test_first_failing_check_ends_the_run(machine: Machine, failing: str, last: str) -> None:
    machine.put_checkers(f'[ "${{0##*/}} $1" != "{failing}" ]')
    outcome = machine.run(machine.checkout / "tests/run")
    assert outcome.status != 0
    assert machine.calls()[-1] == last
