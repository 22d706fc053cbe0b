"""What strangers get beside the code: workflows, the package's metadata, the site's pages."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import posetalk
from posetalk.settings import Settings, TrainSettings

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """docs/pages.py, which makes parts of the site."""
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / "docs/pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_setting_says_what_it_is(pages: ModuleType) -> None:
    models = [model for place in pages.SETTINGS.values() for _, model in pages._nested(pages.model_of(place))]
    assert len(models) > 8
    for model in models:
        meanings = pages.described(model)
        for name in model.model_fields:
            assert re.match('[A-Z`"0]', meanings.get(name, "")), f"{model.__name__}.{name}"

    shown = [getattr(posetalk, name) for name in posetalk.__all__]
    for model in (kind for kind in shown if isinstance(kind, type) and issubclass(kind, Settings)):
        assert set(pages.described(model)) >= set(model.model_fields), model.__name__


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_call_targets_that_exist(file: Path) -> None:
    targets = re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE)
    runs = [step["run"] for step in steps(file) if "run" in step]
    assert runs
    for run in runs:
        words = run.split()
        assert words[0] == "make" and words[1] in targets, run


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_and_pythons_keep_their_packages(file: Path) -> None:
    uses = [step for step in steps(file) if "uses" in step]
    for step in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if "setup-python" in step["uses"]:
            assert step["with"]["cache"] == "pip"


def test_workflows_try_every_python_and_extra_that_is_promised() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    promised = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert jobs["test"]["strategy"]["matrix"]["python"] == promised
    extras = set(PROJECT["project"]["optional-dependencies"]) - {"dev", "docs", "demo"}
    assert set(jobs["extra"]["strategy"]["matrix"]["extra"]) == extras


def test_the_licence_is_true_of_the_weights() -> None:
    project = PROJECT["project"]
    assert project["license"] == "Apache-2.0 AND LicenseRef-posetalk-weights"
    assert not [
        line for line in project["classifiers"] if line.startswith("License")
    ]  # the expression stands alone
    terms = [(ROOT / file).read_text() for file in project["license-files"]]
    assert "Apache License" in terms[0] and "LicenseRef-posetalk-weights" in terms[1]
    card = (ROOT / "src/posetalk/bundled/README.md").read_text()
    for source in ("LSPET", "Johnson & Everingham", "COCO", "MoveNet", "SmolLM2"):
        assert source in card
        assert source in terms[1] or source == "LSPET"


def test_the_readme_of_the_package_has_no_links_into_the_checkout() -> None:
    text = (ROOT / "README.md").read_text()
    assert "](docs/" in text
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert re.findall(r"\]\((?!https?:)", text) == []


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda f: f.stem
)
def test_links_lead_to_files(file: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
        if not re.match(r"https?:|#", link):
            assert (file.parent / link.split("#")[0]).exists(), link


def test_every_public_name_stands_under_a_heading_of_the_reference(pages: ModuleType) -> None:
    assert re.findall(r"^::: posetalk\.(\w+)$", pages.api(), re.MULTILINE)
    shown = set(re.findall(r"^::: posetalk\.(\w+)$", pages.api(), re.MULTILINE))
    assert shown == set(posetalk.__all__)
    parts = [part for group in pages.GROUPS.values() for part in group]
    assert len(parts) == len(set(parts))


def test_every_key_of_the_settings_stands_in_the_reference(pages: ModuleType) -> None:
    text = pages.settings()
    for key in TrainSettings.model_fields:
        assert f"| `{key}` |" in text
    for table in (
        "`[[data]]`",
        "`[model.crop]`",
        "`[model.lora]`",
        "`[augmentation]`",
        "`[[replay]]`",
        "`[probe]`",
    ):
        assert table in text
    assert "Annotated" not in text and "typing." not in text
    assert '| `packing` | `"block"` or `"chain"` | `"block"` |' in text
    assert "| `max_steps` | int, ≥ 1 | none |" in text


def test_every_command_stands_in_the_reference(pages: ModuleType) -> None:
    text = pages.commands()
    for command in ("locate", "bench run", "skeletons"):
        assert f"\n## posetalk {command}\n" in text
    assert "Example: `posetalk locate" in text
