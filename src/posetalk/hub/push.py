"""Upload a folder that posetalk wrote to the Hugging Face hub: a model, or an exported data set.

The hub knows who uploads by the login of `hf auth login`, or by HF_TOKEN; HF_ENDPOINT names another hub.
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

# What a run keeps for itself: it names files of this machine, or nobody loads it.
_LEFT_OUT = {
    "model": {
        *("run.toml", "log.jsonl", "pictures.json", "skipped.txt", "probe.json"),
        *("checkpoints", "adapters"),
    },
    "dataset": {"posetalk_bench.yaml", "utils.py"},  # lmms-eval's, which takes whole paths alone
}
_LEDGERS = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")
_NO_TEXT = (".safetensors", ".parquet", ".jpg", ".jpeg", ".png", ".webp", ".model")
_WORDS = ("tokenizer.json", "vocab.json", "merges.txt")  # where any piece of text is an entry
# Keys of the hub, and of servers with OpenAI's interface.
_KEY = re.compile(rb"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,})")
_KEPT_IN = re.compile(r"(?:_KEY|_TOKEN|_SECRET)$")  # names of variables that hold one
# A whole path at the start of a word, and its first folder; or somebody's folder on Windows.
_PATH = re.compile(
    rb"""(?:^|(?<=[\s"'`(=\[,]))/([\w.-]+)/[^\s"'`<>]+|\b[A-Za-z]:[\\/]{1,2}Users\b[^\s"'`<>]+"""
)
_ROOTS = {"home", "Users", "root", "mnt", "media", "tmp", "var", "private", "scratch", "content", "workspace"}
_CHUNK, _OVERLAP = 2**20, 2**10  # bytes that are looked at together; no key or path is longer than the second


@dataclass(frozen=True, slots=True)
class Upload:
    """What is uploaded. files: name in the folder -> bytes; left_out: what a run keeps for itself."""

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
        folder: what `train`, `calibrate`, `tune`, `convert`, `export` or `bench export` wrote.
        repo_id: `user/name` or `organisation/name`; made where the hub has none.
        private: whether only its owners see it.
        tell: called with what will be uploaded, before the hub is asked for anything.

    Returns:
        The address of what was uploaded.

    Raises:
        PosetalkError: as `upload_of`; a repository that is to be private and is public; the hub does not know who asks,
            forbids it, has no such owner, does not take the card, or cannot be reached.
    """
    found = upload_of(folder)
    tell(found)
    api = HfApi()
    with _in_one_sentence(api.endpoint, repo_id):
        # an organisation may have a default of its own
        place = api.create_repo(repo_id, repo_type=found.kind, private=private or None, exist_ok=True)
        if private and not api.repo_info(place.repo_id, repo_type=found.kind).private:
            raise PosetalkError(
                f"{place.repo_id} is there already and is public; make it private on the hub, or give another name"
            )
        api.upload_folder(
            repo_id=place.repo_id,
            repo_type=found.kind,
            folder_path=found.folder,
            allow_patterns=[glob.escape(name) for name in found.files],
            commit_message="Upload with posetalk",
        )
    return str(place)


def upload_of(folder: str | Path) -> Upload:
    """What of a folder is uploaded; nothing is asked of the hub.

    Raises:
        PosetalkError: neither a model nor an exported data set, or one without weights or card; an unfinished file
            (.part), a ledger, a link; a file that holds a key, or a whole path of a machine.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PosetalkError(f"there is no folder {folder}; give one that posetalk wrote")
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
        names = [path.relative_to(folder).as_posix() for path in files]
        for name, path in zip(names, files, strict=True):
            _check_name(path, name)
        kind = _kind(folder)
        left_out = {name for name in names if name.split("/")[0] in _LEFT_OUT[kind] or _hidden(name)}
        chosen = {n: path for n, path in zip(names, files, strict=True) if n not in left_out}
        if CARD not in chosen:
            raise PosetalkError(
                f"{folder} has no card ({CARD}), which says what it is; write it with posetalk again"
            )
        for name, path in chosen.items():
            if path.suffix.lower() not in _NO_TEXT:
                _check_text(path, paths=name not in _WORDS)
        sizes = {name: path.stat().st_size for name, path in chosen.items()}
    except OSError as error:
        raise PosetalkError(f"cannot read {folder}: {error}; look at the folder") from None
    return Upload(folder, kind, sizes, tuple(sorted({name.split("/")[0] for name in left_out})))


def _kind(folder: Path) -> Literal["model", "dataset"]:
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        if not any(folder.glob("*.safetensors")):
            raise PosetalkError(
                f"{folder} holds a model's configuration and no weights; let its run end first"
            )
        return "model"
    try:
        if (folder / CARD).is_file() and "configs" in DatasetCard.load(folder / CARD).data:
            return "dataset"
    except Exception:  # a head that is no YAML, or no text at all: of whatever type its reader's error is
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
    """Errors: the file holds a key, or, where `paths`, a whole path."""
    keys = _keys()
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(_CHUNK):
            text = before + chunk
            if _KEY.search(text) or any(key in text for key in keys):
                raise PosetalkError(
                    f"{path} holds a key or token; remove it there, and have it replaced by a new one"
                )
            if paths and (found := next(_whole_paths(text), None)):
                raise PosetalkError(
                    f"{path} names {shown(found)}, a place of one machine that nobody else has; "
                    "write it anew with names that others have"
                )
            before = text[-_OVERLAP:]


def _whole_paths(text: bytes) -> Iterator[str]:
    for found in _PATH.finditer(text):
        root = (found[1] or b"").decode(errors="replace")
        if not root or root in _ROOTS or Path("/", root).is_dir():
            yield found[0].decode(errors="replace")[:200]


def _keys() -> list[bytes]:
    """Keys that this process has itself."""
    held = [value for name, value in os.environ.items() if _KEPT_IN.search(name)] + [get_token() or ""]
    return [key.encode() for key in held if len(key) >= 12]


@contextmanager
def _in_one_sentence(hub: str, repo_id: str) -> Iterator[None]:
    try:
        yield
    except HFValidationError:
        raise PosetalkError(f"{repo_id!a} is no name on a hub; give user/name or organisation/name") from None
    except HfHubHTTPError as error:
        raise PosetalkError(
            _refused(error.response.status_code, hub, repo_id, error.server_message)
        ) from None
    except (HTTPError, ConnectionError) as error:
        raise PosetalkError(
            f"cannot reach the hub {hub} ({_line(error)}); look at the network, HF_ENDPOINT and HF_HUB_OFFLINE"
        ) from None
    except ValueError as error:
        if isinstance(error, PosetalkError):
            raise
        raise PosetalkError(f"the hub {hub} does not take this: {_line(error)}") from None


def _refused(code: int, hub: str, repo_id: str, said: str | None) -> str:
    match code:
        case 401:
            return f"the hub {hub} does not know who asks; run `hf auth login`, or set HF_TOKEN"
        case 403:
            return (
                f"you may not write to {repo_id} on {hub}; give a token that may, or a repository of your own"
            )
        case 404:
            return f"the hub {hub} has no user or organisation for {repo_id}; check the name"
    words = f": {shown(said)}" if said else ""
    return f"the hub {hub} answers with {code}{words}; run the same command again later"


def _line(error: Exception) -> str:
    """The first line of an error's text that says something."""
    lines = [line.strip(" -\t") for line in str(error).splitlines()]
    return shown(next((line for line in lines if line), type(error).__name__))[:300]
