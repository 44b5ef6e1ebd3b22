"""``python -m trio_http`` is ``trio-http``."""

import sys

from trio_http.cli import main

sys.exit(main())
