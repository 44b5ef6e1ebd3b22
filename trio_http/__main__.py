"""The command ``trio-http``, which is ``python -m trio_http`` as well.

Its version is what scripts ask for, again and again: it is told before anything
else is loaded.
"""

import sys

from trio_http import __version__


def main() -> int:
    """Do what the arguments say, and return the exit status."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"trio-http {__version__}\n")
        return 0
    from trio_http import cli  # noqa: PLC0415 - with it comes everything else

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
