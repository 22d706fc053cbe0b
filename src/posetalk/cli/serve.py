"""The command that answers over HTTP: serve."""

from __future__ import annotations

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.errors import missing_package
from posetalk.process import quiet
from posetalk.serve.settings import ServeSettings

Parameter(name="*", negative=())(ServeSettings)  # each of its fields is an option
DEFAULTS = ServeSettings()


@app.command
def serve(*, settings: ServeSettings = DEFAULTS) -> None:
    """Answer over HTTP, and show the studio, a page to try it on.

    It listens on this machine alone unless --host says otherwise. It needs the extra `serve`.

    Example: `posetalk serve --port 8080`

    Args:
        settings: How it listens, and what it takes.
    """
    quiet()
    try:
        from posetalk.serve.run import serve as run
    except ModuleNotFoundError as error:
        raise (missing_package(error, "serve") or error) from None
    run(settings)
