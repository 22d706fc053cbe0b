"""Upload a folder that posetalk wrote to the Hugging Face hub: a model, or an exported data set.

Log in with `hf auth login`, or set HF_TOKEN; HF_ENDPOINT names another hub.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from httpx2 import HTTPError  # what huggingface_hub sends with
from huggingface_hub import DatasetCard, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from posetalk.errors import PosetalkError, shown
from posetalk.hub.card import CARD

# Files and folders that are not uploaded: they name files of this machine, or nobody loads them.
_LEFT_OUT = {
    "model": {
        *("run.toml", "inputs.json", "log.jsonl", "pictures.json", "skipped.txt", "probe.json"),
        *("checkpoints", "adapters"),
    },
    "dataset": {"posetalk_bench.yaml", "utils.py"},  # for lmms-eval, with absolute paths
}
_LEDGERS = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
_BINARY = (".safetensors", ".parquet", ".jpg", ".jpeg", ".png", ".webp", ".model")
_VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt")  # any piece of text may be an entry
# Keys of the hub and of OpenAI.
_KEY = re.compile(rb"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})")
_KEY_VARIABLE = re.compile(r"(?:_KEY|_TOKEN|_SECRET)$")  # names of environment variables
# An absolute path at the start of a word, with its first folder as group 1; or a user's folder on Windows.
_PATH = re.compile(
    rb"""(?:^|(?<=[\s"'`(=\[,]))/([\w.-]+)/[^\s"'`<>]+|\b[A-Za-z]:[\\/]{1,2}Users\b[^\s"'`<>]+"""
)
_ROOTS = {"home", "Users", "root", "mnt", "media", "tmp", "var", "private", "scratch", "content", "workspace"}
_CHUNK, _OVERLAP = (
    2**20,
    2**10,
)  # bytes read at a time, and repeated between reads: more than the longest key or path


@dataclass(frozen=True, slots=True)
class Upload:
    """What will be uploaded.

    Attributes:
        folder: The folder.
        kind: Of the repository.
        files: Names in the folder and sizes in bytes.
        left_out: Files and folders that are not uploaded.
    """

    folder: Path
    kind: Literal["model", "dataset"]
    files: dict[str, int]
    left_out: tuple[str, ...]


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    tell: Callable[[Upload], object] = lambda _: None,
) -> str:
    """Upload a model's folder, or an exported data set. Files of the same names are replaced, others stay.

    Args:
        folder: A folder that `train`, `calibrate`, `tune`, `convert`, `export` or `bench export` wrote.
        repo_id: `user/name` or `organisation/name`; the repository is made if the hub has none.
        private: Whether only its owners can see it.
        tell: Called with what will be uploaded, before the first request to the hub.

    Returns:
        The address of the repository.

    Raises:
        PosetalkError: the folder cannot be uploaded, see `upload_of`; the repository is public and `private` is set;
            the hub refuses the login, the owner, the name or the card, or cannot be reached.
    """
    upload = upload_of(folder)
    tell(upload)
    api = HfApi()
    with _readable_errors(api.endpoint, repo_id):
        # None, not False: an organisation may have a default of its own
        repo = api.create_repo(repo_id, repo_type=upload.kind, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo.repo_id, repo_type=upload.kind).private:
            raise PosetalkError(
                f"{repo.repo_id} is there already and is public; make it private on the hub, or give another name"
            )
        api.upload_folder(
            repo_id=repo.repo_id,
            repo_type=upload.kind,
            folder_path=upload.folder,
            allow_patterns=[glob.escape(name) for name in upload.files],
            commit_message="Upload with posetalk",
        )
    return str(repo)


def upload_of(folder: str | Path) -> Upload:
    """Find the files of a folder to upload, and check them. The hub is not contacted.

    Args:
        folder: As in `push_to_hub`.

    Raises:
        PosetalkError: the folder is neither a model nor an exported data set, or has no weights or no card; it holds an
            unfinished file (.part), a ledger or a link; a file holds a key, or an absolute path of a machine.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PosetalkError(f"there is no folder {folder}; give one that posetalk wrote")
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
        names = [path.relative_to(folder).as_posix() for path in files]
        for name, path in zip(names, files, strict=True):
            _check_name(path, name)
        kind = _kind_of(folder)
        left_out = {name for name in names if name.split("/")[0] in _LEFT_OUT[kind] or _hidden(name)}
        uploaded = {name: path for name, path in zip(names, files, strict=True) if name not in left_out}
        if CARD not in uploaded:
            raise PosetalkError(
                f"{folder} has no card ({CARD}), which says what it is; write it with posetalk again"
            )
        for name, path in uploaded.items():
            if path.suffix.lower() not in _BINARY:
                _check_text(path, paths=name not in _VOCABULARIES)
        sizes = {name: path.stat().st_size for name, path in uploaded.items()}
    except OSError as error:
        raise PosetalkError(f"cannot read {folder}: {error}; look at the folder") from None
    return Upload(folder, kind, sizes, tuple(sorted({name.split("/")[0] for name in left_out})))


def _kind_of(folder: Path) -> Literal["model", "dataset"]:
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        if not any(folder.glob("*.safetensors")):
            raise PosetalkError(
                f"{folder} holds a model's configuration and no weights; let its run end first"
            )
        return "model"
    try:
        if (folder / CARD).is_file() and "configs" in DatasetCard.load(folder / CARD).data:
            return "dataset"
    except Exception:  # no YAML, or no text at all; its reader raises errors of many types
        pass
    raise PosetalkError(
        f"{folder} is neither a model nor an exported data set; "
        "give a folder that train, calibrate, tune, convert, export or bench export wrote"
    )


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _check_name(path: Path, name: str) -> None:
    if path.is_symlink():
        raise PosetalkError(f"{path} is a link to another place; put the file itself there, or remove it")
    if any(part.endswith(".part") for part in name.split("/")):
        raise PosetalkError(f"{path} is unfinished; let the run end, or remove it")
    if path.name.endswith(_LEDGERS):
        raise PosetalkError(
            f"{path} is a ledger, with every request and answer of a run; export the samples, and push the export"
        )


def _check_text(path: Path, paths: bool) -> None:
    """Raise PosetalkError if the file holds a key, or, with `paths`, an absolute path."""
    keys = _own_keys()
    with path.open("rb") as file:
        overlap = b""
        while chunk := file.read(_CHUNK):
            text = overlap + chunk
            if _KEY.search(text) or any(key in text for key in keys):
                raise PosetalkError(
                    f"{path} holds a key or token; remove it there, and have it replaced by a new one"
                )
            if paths and (path_text := next(_absolute_paths(text), None)):
                raise PosetalkError(
                    f"{path} names {shown(path_text)}, a place of one machine that nobody else has; "
                    "write it anew with names that others have"
                )
            overlap = text[-_OVERLAP:]


def _absolute_paths(text: bytes) -> Iterator[str]:
    for match in _PATH.finditer(text):
        root = (match[1] or b"").decode(errors="replace")
        if not root or root in _ROOTS or Path("/", root).is_dir():
            yield match[0].decode(errors="replace")[:200]


def _own_keys() -> list[bytes]:
    """The keys in this process's environment, and its login at the hub."""
    values = [value for name, value in os.environ.items() if _KEY_VARIABLE.search(name)] + [get_token() or ""]
    return [key.encode() for key in values if len(key) >= 12]


@contextmanager
def _readable_errors(hub: str, repo_id: str) -> Iterator[None]:
    try:
        yield
    except HFValidationError:
        raise PosetalkError(f"{repo_id!a} is no name on a hub; give user/name or organisation/name") from None
    except HfHubHTTPError as error:
        raise PosetalkError(
            _refusal(error.response.status_code, hub, repo_id, error.server_message)
        ) from None
    except (HTTPError, ConnectionError) as error:
        raise PosetalkError(
            f"cannot reach the hub {hub} ({_first_line(error)}); look at the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from None
    except ValueError as error:
        if isinstance(error, PosetalkError):
            raise
        raise PosetalkError(f"the hub {hub} does not take this: {_first_line(error)}") from None


def _refusal(code: int, hub: str, repo_id: str, server_message: str | None) -> str:
    match code:
        case 401:
            return f"the hub {hub} does not know who asks; run `hf auth login`, or set HF_TOKEN"
        case 403:
            return (
                f"you may not write to {repo_id} on {hub}; give a token that may, or a repository of your own"
            )
        case 404:
            return f"the hub {hub} has no user or organisation for {repo_id}; check the name"
    reason = f": {shown(server_message)}" if server_message else ""
    return f"the hub {hub} answers with {code}{reason}; run the same command again later"


def _first_line(error: Exception) -> str:
    """The first line of an error's text that is not empty."""
    lines = [line.strip(" -\t") for line in str(error).splitlines()]
    return shown(next((line for line in lines if line), type(error).__name__))[:300]
