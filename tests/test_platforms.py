"""Tests on systems with less than Linux: the package can be imported, and it serves.

Modules and functions that only some systems have are removed from an interpreter before the
package is loaded. That does not emulate another system, but finds unconditional uses.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from support import environment

# Missing on Windows, and missing on macOS.
WINDOWS = {
    "modules": "fcntl grp pwd resource termios",
    "signal": "SIGHUP SIGKILL SIGQUIT pthread_sigmask",
    "os": "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_PATH O_TMPFILE fchmod fchown fork "
    "getpgid getuid geteuid getxattr listxattr setxattr pipe2 posix_fadvise posix_fallocate "
    "preadv pwritev sched_getaffinity sendfile splice statvfs fstatvfs",
    "select": "poll",
    "socket": "MSG_DONTWAIT SO_REUSEPORT",  # Trio needs AF_UNIX on this system
}
MACOS = {
    "os": "O_PATH O_TMPFILE getxattr listxattr setxattr pipe2 posix_fadvise posix_fallocate "
    "sched_getaffinity splice",
    "socket": "SOCK_CLOEXEC SOCK_NONBLOCK",
}

# The libraries are imported first: they adapt to the real system.
PROGRAM = """
import os, pkgutil, select, signal, socket, ssl, subprocess, sys, tempfile
import click, h11, trio, trio.testing

platform, lacks = sys.argv[1], {LACKS}
for name in lacks.pop("modules", "").split():
    sys.modules[name] = None
for name, attributes in lacks.items():
    for attribute in attributes.split():
        delattr(sys.modules[name], attribute)
sys.platform = platform
os.supports_dir_fd.clear() if platform == "win32" else None

import trio_http
from trio_http.command import single_process
for module in pkgutil.walk_packages(trio_http.__path__, "trio_http."):
    __import__(module.name)
from trio_http.__main__ import main
from trio_http.testing import Client

open_listeners = single_process.open_listeners

async def visit(port):
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        client = Client(stream)
        answers = [
            await client.request(method, target, {"Host": "127.0.0.1"}, body)
            for method, target, body in [
                ("GET", "/", b""),
                ("PUT", "/new", b"x" * 100_000),
                ("GET", "/new", b""),
                ("DELETE", "/new", b""),
            ]
        ]
        print([answer.status for answer in answers], len(answers[2].body))
    signal.raise_signal(signal.SIGTERM)

async def open_and_visit(*addresses):
    listeners = await open_listeners(*addresses)
    trio.lowlevel.spawn_system_task(visit, listeners[0].socket.getsockname()[1])
    return listeners

single_process.open_listeners = open_and_visit
sys.argv = ["trio-http", "files", ".", "--writable", "--bind", "127.0.0.1:0"]
sys.exit(main())
"""


@pytest.mark.parametrize(("platform", "lacks"), [("win32", WINDOWS), ("darwin", MACOS)])
def test_files_are_served_on_a_system_with_less(
    tmp_path: Path, platform: str, lacks: dict[str, str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.replace("{LACKS}", repr(lacks)), platform],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == "[200, 201, 200, 204] 100000\n"
