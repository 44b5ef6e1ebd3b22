"""``pytest --no-plain`` runs the tests without the short way past h11."""

import pytest

from trio_http.semantics.limits import Limits


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-plain", action="store_true", help="leave every exchange to h11")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--no-plain"):
        # Whatever limits a test makes, it makes from these defaults.
        arguments = Limits.__init__.__defaults__
        assert arguments is not None
        *others, plain = arguments
        assert plain is True
        Limits.__init__.__defaults__ = (*others, False)
