"""The command ``trio-http``, which is ``python -m trio_http`` as well.

Signals and descriptors are seen to before anything else is loaded. The version is
what scripts ask for, again and again: it is told before that, too.
"""

import os
import sys
from contextlib import nullcontext, suppress

from trio_http import __version__
from trio_http.command.signals import ending_at_once, outliving_hangups
from trio_http.command.standard_streams import open_missing, tell


def main() -> int:
    """Do what the arguments say, and return the exit status."""
    with ending_at_once(), outliving_hangups() if _has_workers() else nullcontext():
        open_missing()
        return _main()


def _has_workers() -> bool:
    """Return whether this is one of several workers or, as far as is known yet, their parent.

    A configuration file may ask for workers, too. It has not been read yet.
    """
    told = any(argument.startswith(("--workers", "-w")) for argument in sys.argv[1:])
    return told or not os.environ.keys().isdisjoint({"TRIO_HTTP_WORKERS", "_TRIO_HTTP_WORKER"})


def _main() -> int:
    if sys.argv[1:] in (["--version"], ["-V"]):
        with suppress(OSError):  # the command line can say why
            tell(f"trio-http {__version__}\n")
            return 0
    from trio_http.command import cli  # noqa: PLC0415 - with it comes everything else

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
