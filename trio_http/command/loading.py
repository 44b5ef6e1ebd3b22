"""Loads the app that ``MODULE:NAME`` names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from contextlib import AbstractAsyncContextManager
from inspect import isasyncgenfunction, iscoroutinefunction, signature, unwrap
from typing import Any

from trio_http.command.wrong_use import WrongUseError
from trio_http.http1.app_lifetime import Servable, answering
from trio_http.http1.exchange import App, Exchange
from trio_http.semantics.request import Request


def load_app(name: str) -> Servable:
    """Return the App that ``MODULE:NAME`` names, or the lifetime that yields one.

    Raises:
        WrongUseError: the name is malformed, the module cannot be imported, or the object
            cannot be served.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise WrongUseError(f"not a valid MODULE:NAME, such as hello:app: {name}")
    try:
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - sys.path holds strings
        found: Any = importlib.import_module(module_name)
        for attribute in path.split("."):
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:  # a module may be a script that exits
        reason = f"{type(error).__name__}: {error}"
        raise WrongUseError(f"cannot load {name}: {reason}{_place_of(error)}") from error
    return app_from(found, name)


def _place_of(error: BaseException) -> str:
    """Return the file and line of the user's code that failed.

    The message of a SyntaxError has them already.
    """
    ours = {__file__, importlib.__file__}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename not in ours and not frame.filename.startswith("<frozen "):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def app_from(found: Any, name: str) -> Servable:
    """Return an App or a lifetime unchanged; turn a handler into an App.

    The annotation of its only parameter tells an App (``Exchange``) from a handler
    (``Request``).

    Raises:
        WrongUseError: the object cannot be served.
    """
    if isasyncgenfunction(unwrap(found)) and not isasyncgenfunction(found):
        return _made_by(found, name)
    # type(found), because calling a class does not call the __call__ of its instances.
    if not (iscoroutinefunction(found) or iscoroutinefunction(type(found).__call__)):
        return _lifetime_from(found, name)
    declared = _parameter_of(found, name)
    if _is_a(declared, Exchange):
        app: App = found
        return app
    if _is_a(declared, Request):
        return answering(found)
    raise WrongUseError(
        f"{name} does not declare the type of its parameter: annotate it (request: Request for a "
        f"handler, exchange: Exchange for an App), or serve app = answering({_variable_in(name)})"
    )


def _parameter_of(found: Any, name: str) -> Any:
    """Return the annotation of the only parameter that a function is called with."""
    try:
        signature(found).bind(None)
    except TypeError as error:
        raise WrongUseError(f"{name} must take exactly one argument: {error}") from error
    try:
        resolved = signature(found, eval_str=True)
    except Exception as error:
        raise WrongUseError(
            f"cannot resolve the annotations of {name}: {type(error).__name__}: {error}; import "
            "their names at run time, not only under TYPE_CHECKING"
        ) from error
    return next(iter(resolved.parameters.values())).annotation


def _is_a(annotation: Any, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)


def _variable_in(name: str) -> str:
    """Return the part of ``MODULE:NAME`` after the colon."""
    return name.rpartition(":")[2]


def _made_by(function: Any, name: str) -> Servable:
    """Call a function that is decorated with ``asynccontextmanager``; return its lifetime."""
    try:
        signature(function).bind()
    except TypeError as error:
        raise WrongUseError(f"{name} must take no arguments: {error}") from error
    return _lifetime_from(function(), name)


def _lifetime_from(found: Any, name: str) -> Servable:
    if not isinstance(found, AbstractAsyncContextManager):
        raise WrongUseError(
            f"{name} cannot be served: it must be a Router, an async function or an async context "
            f"manager, not {type(found).__name__}"
        )
    lifetime: Servable = found
    return lifetime
