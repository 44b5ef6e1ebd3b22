"""Apps of the user's own, by the names of their modules."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from contextlib import AbstractAsyncContextManager
from inspect import isasyncgenfunction, iscoroutinefunction, signature, unwrap
from typing import Any

from trio_http.command.wrong_use import WrongUseError
from trio_http.http1.exchange import App
from trio_http.http1.lifetime import Servable, answering


def load_app(name: str) -> Servable:
    """Return the App that ``MODULE:NAME`` stands for, or the lifetime that yields one."""
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise WrongUseError(f"not MODULE:NAME: {name}")
    try:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - a text is what belongs there
        found: Any = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:  # a module may well be a script that ends itself
        reason = f"{type(error).__name__}: {error}"
        raise WrongUseError(f"cannot load {name}: {reason}{_place_of(error)}") from error
    return _app_from(found, name)


def _place_of(error: BaseException) -> str:
    """Which line of the user's code failed, if it was one; a SyntaxError says so itself."""
    ours = {__file__, importlib.__file__}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename not in ours and not frame.filename.startswith("<frozen "):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _app_from(found: Any, name: str) -> Servable:
    """Return an App or a lifetime as it is, or the App that answers by a handler.

    A handler is told by what its one parameter is.
    """
    if isasyncgenfunction(unwrap(found)) and not isasyncgenfunction(found):
        return _made_by(found, name)
    # Of a class it is not the instances' __call__ that counts, but its own.
    if not (iscoroutinefunction(found) or iscoroutinefunction(type(found).__call__)):
        return _lifetime_from(found, name)
    called = signature(found)
    try:
        called.bind(None)
    except TypeError as error:
        raise WrongUseError(f"{name} is to be called with one argument: {error}") from error
    parameter = next(iter(called.parameters.values()))
    is_app = "Exchange" in str(parameter.annotation) or parameter.name == "exchange"
    app: App = found if is_app else answering(found)
    return app


def _made_by(function: Any, name: str) -> Servable:
    """Return the lifetime that a function makes, if it is one with ``asynccontextmanager``."""
    try:
        signature(function).bind()
    except TypeError as error:
        raise WrongUseError(f"{name} is to be called without arguments: {error}") from error
    return _lifetime_from(function(), name)


def _lifetime_from(found: Any, name: str) -> Servable:
    if not isinstance(found, AbstractAsyncContextManager):
        raise WrongUseError(f"{name} is neither a Router nor an async function or context manager")
    lifetime: Servable = found
    return lifetime
