"""A structured-concurrency HTTP/1.1 server on Trio and h11: the public names.

They are listed once, in ``__init__.pyi``. Type checkers and editors read it as it is; here
it is read when the first name is asked for. Each name is loaded on its first use (PEP 562),
so that a program which needs one of them, or the version alone, does not wait for Trio.
"""

__version__ = "0.1.0"

_MODULES: dict[str, str] = {}  # by the public name that each defines, as soon as it is read


def _modules() -> dict[str, str]:
    if not _MODULES:
        # Each takes a millisecond to load, and the version needs neither.
        import ast  # noqa: PLC0415
        import pkgutil  # noqa: PLC0415

        # Not from a path: the package may be in a zip file.
        stub = pkgutil.get_data(__name__, "__init__.pyi")
        assert stub is not None  # noqa: S101 - only loaders of no files give None
        for node in ast.parse(stub).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                _MODULES.update({name.name: node.module for name in node.names if name.asname})
    return _MODULES


def __getattr__(name: str) -> object:
    """Return a public name that has not been used before, or the list of all (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415 - as above

    modules = _modules()
    if name == "__all__":
        value: object = sorted(modules)
    elif name in modules:
        value = getattr(import_module(modules[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # which the next use finds without this function
    return value


def __dir__() -> list[str]:
    """Return the public names, whether they are loaded or not."""
    return sorted([*_modules(), "__version__"])
