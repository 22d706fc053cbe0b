"""Fill in the template of a page. Every value is escaped; a missing value is an error."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from posetalk.resources import resource_text


def render(template: str, **values: object) -> str:
    """Fill in a template.

    Args:
        template: The name of a file in `templates/`.
        **values: Text, numbers, and records and lists of them, by the names that the template uses. Values that are
            HTML already, as returned by `render`, are marked `|safe` in the template.

    Returns:
        The page, or a part of one.

    Raises:
        jinja2.UndefinedError: the template uses a name that is not among `values`.
    """
    return _environment().get_template(template).render(**values)


def script_of(name: str) -> tuple[str, str]:
    """A script of `templates/`, and its SHA-256 in base64, for a Content-Security-Policy that allows it alone."""
    text = resource_text(f"pages/templates/{name}").strip()
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("posetalk.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["percent"] = lambda share: f"{share:.2%}"
    return environment
