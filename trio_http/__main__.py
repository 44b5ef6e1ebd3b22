"""The command ``trio-http``, also run as ``python -m trio_http``.

Signal handlers and standard descriptors are set up before anything else is loaded. The version
is also printed before that, because scripts ask for it often.
"""

import os
import sys
from contextlib import nullcontext, suppress

from trio_http import __version__
from trio_http.command.signals import ending_at_once, outliving_hangups
from trio_http.command.standard_streams import open_missing, tell


def main() -> int:
    """Run the command, and return the exit status."""
    with ending_at_once(), outliving_hangups() if _has_workers() else nullcontext():
        open_missing()
        return _main()


def _has_workers() -> bool:
    """Return whether this process is a worker or, as far as is known yet, a parent of workers.

    A configuration file can also set the number of workers, but has not been read yet.
    """
    told = any(argument.startswith(("--workers", "-w")) for argument in sys.argv[1:])
    return told or not os.environ.keys().isdisjoint({"TRIO_HTTP_WORKERS", "_TRIO_HTTP_WORKER"})


def _main() -> int:
    if sys.argv[1:] in (["--version"], ["-V"]):
        with suppress(OSError):  # the command line reports the reason
            tell(f"trio-http {__version__}\n")
            return 0
    from trio_http.command import cli  # noqa: PLC0415 - loads everything else

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
