"""Errors a person can act on, and the import of optional parts."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

# Modules that are not called as the package that brings them.
_PACKAGES = {"cv2": "opencv-python-headless", "skimage": "scikit-image"}

# Control characters but tab and line feed, surrogates, other line breaks, and what turns the direction of writing.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


class PosetalkError(ValueError):
    """Bad input: one sentence that says what is wrong, where, and what to do. The command line exits with 2."""


class MissingPackage(PosetalkError, ImportError):
    """A package is not installed that an extra of posetalk brings."""


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of posetalk brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise _missing(module.split(".")[0], extra) from None


def missing_package(error: ModuleNotFoundError, wanted: str | None = None) -> MissingPackage | None:
    """What to install, where a failed import is of a package that an extra brings; else None.

    wanted: the extra to name, where a larger one than brings the package is needed.
    """
    from importlib import metadata  # not at the start of every command

    module = (error.name or "").split(".")[0]
    package = _PACKAGES.get(module, module).replace("_", "-").lower()
    extras: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("posetalk") or []
    except metadata.PackageNotFoundError:  # imported from a folder, not installed
        return None
    for line in requirements:
        if found := re.match(r"([\w.-]+).*;\s*extra == ['\"](\w+)", line):
            extras.setdefault(found[2], []).append(found[1].lower())
    bring = [extra for extra, packages in extras.items() if package in packages]
    return _missing(module, wanted or min(bring, key=lambda extra: len(extras[extra]))) if bring else None


def shown(text: str) -> str:
    """Text of others, safe on a terminal: what would steer it, and halves of characters, are escaped (\\x1b)."""
    return _STEERS.sub(lambda found: ascii(found[0])[1:-1], text)


def _missing(module: str, extra: str) -> MissingPackage:
    return MissingPackage(
        f"this needs the package {module}, which is not installed: pip install 'posetalk[{extra}]'"
    )
