"""Fill in a template of a page. Every value is escaped; a name that the template uses and nobody gives is an error."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from posetalk.resources import resource_text


def render(template: str, **values: object) -> str:
    """The text of `templates/TEMPLATE`, with `values` as its names.

    Values are text, numbers, and records and lists of such. What is HTML already, because `render` gave it back, is
    marked in the template (`|safe`).
    """
    return _environment().get_template(template).render(**values)


def script_of(name: str) -> tuple[str, str]:
    """A script in `templates/`, and its hash as a Content-Security-Policy takes it, so that this script alone runs."""
    text = resource_text(f"pages/templates/{name}").strip()
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("posetalk.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["count"] = "{:,}".format
    made.filters["percent"] = lambda share: f"{share:.2%}"
    return made
