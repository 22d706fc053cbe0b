"""LocLLM's own words, which are not part of this package, from a copy of its code."""

from __future__ import annotations

import ast
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.prompt.wording import Wording, wording

_TABLE = "KeypointLocationDescription"  # in datasets/constants.py: descriptions by keypoint name
_QUESTION = "Question: Where is the {name} of this person in this image? Please provide its coordinates."


def read_wording(name: str | Path) -> Wording:
    """A wording by name or TOML file, or LocLLM's from the file datasets/constants.py of its code.

    Of that file the table of descriptions is read as a literal; nothing in it is run.

    Raises:
        PosetalkError: as `wording`; a Python file without such a table.
    """
    file = Path(name)
    if file.suffix != ".py":
        return wording(name)
    try:
        sentences = next(
            ast.literal_eval(node.value)
            for node in ast.parse(file.read_bytes()).body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _TABLE
        )
    except OSError as error:
        raise PosetalkError(f"cannot read {file}: {error.strerror}") from None
    except (StopIteration, ValueError, SyntaxError, RecursionError, MemoryError):
        raise PosetalkError(
            f"{file} holds no table {_TABLE} of plain texts; give datasets/constants.py of the LocLLM code"
        ) from None
    return Wording.check({"question": _QUESTION, "sentences": sentences}, str(file))
