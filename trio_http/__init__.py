"""A structured-concurrency HTTP/1.1 server on Trio and h11.

The public names are listed once, in ``__init__.pyi``, which type checkers read directly. At run
time the list is read on the first access, and each name is loaded on its first use (PEP 562),
so that a program that needs only one name, or only the version, does not wait for Trio.
"""

__version__ = "0.1.0"

_MODULES: dict[str, str] = {}  # by public name; filled on the first access


def _modules() -> dict[str, str]:
    if not _MODULES:
        # Each import takes a millisecond, and the version needs neither.
        import ast  # noqa: PLC0415
        import pkgutil  # noqa: PLC0415

        # Not read by path, because the package may be in a zip file.
        stub = pkgutil.get_data(__name__, "__init__.pyi")
        assert stub is not None  # noqa: S101 - None only from loaders that have no files
        for node in ast.parse(stub).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                _MODULES.update({name.name: node.module for name in node.names if name.asname})
    return _MODULES


def __getattr__(name: str) -> object:
    """Load a public name on its first use, or list all of them as ``__all__`` (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415 - as above

    modules = _modules()
    if name == "__all__":
        value: object = sorted(modules)
    elif name in modules:
        value = getattr(import_module(modules[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # so that the next use does not call this function
    return value


def __dir__() -> list[str]:
    """Return all public names, including those that are not loaded yet."""
    return sorted([*_modules(), "__version__"])
