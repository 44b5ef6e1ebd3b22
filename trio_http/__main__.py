"""The command ``trio-http``, which is ``python -m trio_http`` as well.

Its version is what scripts ask for, again and again: it is told before anything
else is loaded.
"""

import sys
from contextlib import suppress

from trio_http import __version__
from trio_http.standard_streams import open_missing, tell


def main() -> int:
    """Do what the arguments say, and return the exit status."""
    open_missing()
    if sys.argv[1:] == ["--version"]:
        with suppress(OSError):  # the command line can say why
            tell(f"trio-http {__version__}\n")
            return 0
    from trio_http import cli  # noqa: PLC0415 - with it comes everything else

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
