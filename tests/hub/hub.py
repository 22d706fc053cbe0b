"""A hub on loopback that speaks what an upload needs: create, card check, preupload, LFS, commit."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

CREATORS = {"found", "crowdsourced", "expert-generated", "machine-generated", "no-annotation", "other"}
SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B"}
TASKS = {"keypoint-detection", "image-text-to-text", "visual-question-answering"}


def faults_of(card: str, kind: str) -> list[str]:
    """What the hub would not take of a card's head, by hub-docs' modelcard.md and datasetcard.md."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    head = yaml.safe_load(found[1]) if found else None
    if not isinstance(head, dict):
        return ["there is no head"]
    rules = {
        "language": all(re.fullmatch("[a-z]{2}", one) for one in _listed(head.get("language"))),
        "license": head.get("license") == "other"
        and re.fullmatch(r"[a-z0-9-.]+", head.get("license_name", "")),
        "tags": all(isinstance(tag, str) for tag in head.get("tags", ())),
        "base_model": all(re.fullmatch(r"[\w.-]+/[\w.-]+", one) for one in _listed(head.get("base_model"))),
    }
    if kind == "model":
        rules |= {"pipeline_tag": head.get("pipeline_tag") in TASKS, "library_name": head.get("library_name")}
        for model in head.get("model-index", ()):
            rules["model-index"] = bool(model["name"] and model["results"]) and all(
                result["task"]["type"] in TASKS
                and result["dataset"]["type"]
                and result["dataset"]["name"]
                and all(metric["type"] and metric["value"] is not None for metric in result["metrics"])
                for result in model["results"]
            )
    else:
        rules |= {
            "task_categories": head["task_categories"] and set(head["task_categories"]) <= TASKS,
            "size_categories": set(head["size_categories"]) <= SIZES,
            "annotations_creators": set(head["annotations_creators"]) <= CREATORS,
            "language_creators": set(head["language_creators"]) <= CREATORS - {"no-annotation"},
            "multilinguality": head["multilinguality"] == ["monolingual"],
            "source_datasets": head["source_datasets"] == ["extended"],
            "configs": all(
                one["split"] in ("train", "validation", "test") and one["path"]
                for config in head["configs"]
                for one in config["data_files"]
            ),
        }
    return [f"{name}: {head.get(name)}" for name, holds in rules.items() if not holds]


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


@dataclass
class Hub:
    """refuse: part of a path -> the status it is answered with. public: repositories that are there, for all to see."""

    url: str = ""
    refuse: dict[str, int] = field(default_factory=dict)
    public: set[str] = field(default_factory=set)
    large: int = 10**9  # bytes from which a file goes to the large storage
    repos: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        for part, status in self.refuse.items():
            if part in path:
                return status, {"error": "no"}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name in self.public:
                return 409, {"error": "it is there", "url": self._address(name, asked["type"])}
            self.repos[name] = asked
            return 200, {"url": self._address(name, asked["type"]), "id": name}
        if path == "/api/validate-yaml":
            asked = json.loads(body)
            faults = faults_of(asked["content"], asked["repoType"])
            found = {"errors": [{"message": fault} for fault in faults], "warnings": []}
            return (400 if faults else 200), found
        if "/preupload/" in path:
            return 200, {"files": [self._mode(file) for file in json.loads(body)["files"]]}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[value["path"]] = self.stored[value["oid"]]
            return 200, {"commitUrl": f"{self.url}/me/any/commit/{'0' * 40}", "commitOid": "0" * 40}
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.url}/stored/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}
        if method == "PUT":
            self.stored[path.rsplit("/", 1)[1]] = body
            return 200, {}
        if method == "GET" and re.fullmatch(r"/api/(model|dataset)s/[^/]+/[^/]+", path):
            name = path.split("/", 3)[3]
            if name in self.public or name in self.repos:
                seen = self.repos.get(name, {}).get("visibility")
                return 200, {"id": name, "private": seen == "private", "sha": "0" * 40}
        return 404, {"error": f"nothing at {path}"}

    def _mode(self, file: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if file["size"] >= self.large else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def _address(self, name: str, kind: str) -> str:
        return f"{self.url}/{'datasets/' if kind == 'dataset' else ''}{name}"


@contextmanager
def hub() -> Iterator[Hub]:
    made = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self.path.startswith("/stored"):
                made.tokens.add(self.headers.get("Authorization"))
            status, found = made.answer(self.command, self.path.partition("?")[0], body)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _do

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
