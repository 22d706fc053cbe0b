"""Errors a person can act on, and the import of optional parts."""

from __future__ import annotations

import importlib
from types import ModuleType


class PosetalkError(ValueError):
    """Bad input: one sentence that says what is wrong, where, and what to do. The command line exits with 2."""


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of posetalk brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise PosetalkError(
            f"this needs the package {module.split('.')[0]}, which is not installed: "
            f"pip install 'posetalk[{extra}]'"
        ) from None
