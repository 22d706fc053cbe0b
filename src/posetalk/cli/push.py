"""The command push."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.errors import shown

if TYPE_CHECKING:
    from posetalk.hub.push import Upload

LISTED = 20  # files that are named


@app.command
def push(folder: Path, repo_id: str, *, private: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Upload a model or an exported data set to the Hugging Face hub.

    What a run keeps for itself (settings, log, checkpoints) is left out. A folder is refused if it holds a ledger, a
    key, an absolute path of this machine or an unfinished file. Log in first with `hf auth login`, or set HF_TOKEN.

    Example: `posetalk push tuned my-name/my-model --private`

    Args:
        folder: The folder that train, calibrate, tune, convert, export or bench export wrote.
        repo_id: The repository, as user/name or organisation/name. It is made if it is not there.
        private: Only the owners see the repository.
    """
    from posetalk.hub.push import push_to_hub

    def tell(upload: Upload) -> None:
        what = "model" if upload.kind == "model" else "data set"
        size = sum(upload.files.values())
        print(f"{what} {folder}, {len(upload.files):,} files, {size:,} bytes, to {shown(repo_id)}:")
        for name, number in list(upload.files.items())[:LISTED]:
            print(f"  {shown(name)} ({number:,} bytes)")
        if len(upload.files) > LISTED:
            print(f"  and {len(upload.files) - LISTED:,} more")
        if upload.left_out:
            print(f"left out: {shown(', '.join(upload.left_out))}")

    print(push_to_hub(folder, repo_id, private=private, tell=tell))
