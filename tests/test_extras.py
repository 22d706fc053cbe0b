"""The core without its extras: what works does, and what does not says in one sentence what to install."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import posetalk
from posetalk.errors import MissingPackage, PosetalkError, missing_package

ROOT = Path(__file__).parents[1]
SOURCE = Path(posetalk.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# All that is not the core's: as if it were not installed.
BLOCK = """
import sys
sys.path[:0] = {paths!r}
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
"""
CORE = [
    *("torch", "transformers", "safetensors", "peft", "matplotlib", "accelerate", "trl", "datasets"),
    *("gguf", "openai", "pyarrow", "skimage", "pandas"),
    *("sentencepiece", "google", "onnx"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart"),
]


def without(blocked: list[str], code: str, folder: Path) -> str:
    """What code prints where some modules are not installed."""
    start = [
        sys.executable,
        "-c",
        BLOCK.format(blocked=blocked, paths=[str(SOURCE.parent), str(ROOT)]) + code,
    ]
    done = subprocess.run(start, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_command_and_name_works_without_extras_or_says_which_one_it_needs(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from tests.wheel import check, here
print("\\n".join(check(here, Path("."))) or "nothing is wrong")
"""
    assert without(CORE, code, tmp_path).strip() == "nothing is wrong"


@pytest.mark.parametrize(
    ("blocked", "words", "extra"),
    [
        ("accelerate", "train --preset posellm-7b --annotations a --images b --out o", "train"),
        ("trl", "tune a --images b --preset tiny --out o", "tune"),
        ("onnx", "export-onnx --out pose.onnx", "onnx"),
        ("pyarrow", "export a o --format parquet --images b", "export"),
    ],
)
def test_a_single_missing_package_is_named(blocked: str, words: str, extra: str, tmp_path: Path) -> None:
    code = f"from tests.wheel import here\nprint(*here({words.split()!r}))"
    said = without([blocked], code, tmp_path)
    assert said.startswith("2 posetalk: ") and f"package {blocked}," in said, said
    assert f"pip install 'posetalk[{extra}]'" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "model"),
        ("torch.nn.functional", "model"),
        ("peft", "model"),
        ("accelerate", "train"),
        ("datasets", "tune"),
        ("gguf", "tune"),
        ("openai", "write"),
        ("onnx", "onnx"),
        ("pyarrow.parquet", "export"),
        ("skimage", "demo"),
    ],
)
def test_the_smallest_extra_that_brings_a_package_is_named(module: str, extra: str) -> None:
    found = missing_package(ModuleNotFoundError(name=module))
    assert isinstance(found, MissingPackage) and isinstance(found, PosetalkError)
    assert f"package {module.split('.')[0]}," in str(found) and f"posetalk[{extra}]" in str(found)


def test_what_no_extra_brings_keeps_its_own_error() -> None:
    assert missing_package(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert missing_package(ModuleNotFoundError("no name")) is None


def test_a_missing_package_is_told_before_a_model_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from posetalk.tune.smollm2 import smollm2

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingPackage, match=r"posetalk\[tune\]"):
        smollm2()


def test_a_public_name_that_needs_an_extra_is_an_import_error_too(tmp_path: Path) -> None:
    code = """
import posetalk
try:
    from posetalk import calibrate
except ImportError as error:
    print(isinstance(error, posetalk.PosetalkError), error)
"""
    said = without(["torch"], code, tmp_path)
    assert said.startswith("True this needs the package torch") and "posetalk[model]" in said


def packages(requirements: list[str]) -> set[str]:
    names = {re.match(r"[\w.-]+", line)[0] for line in requirements}  # type: ignore[index]
    for extra in {e for line in requirements for e in re.findall(r"^posetalk\[(.*)\]", line)}:
        for one in extra.split(","):
            names |= packages(EXTRAS[one])
    return names - {"posetalk"}


def imported() -> dict[str, set[str]]:
    """The modules of others that posetalk imports, and where; `need("x", "extra")` is an import too."""
    found: dict[str, set[str]] = {}
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need":
                names = [node.args[0].value]  # type: ignore[attr-defined]
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(file.name)
    return {
        name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, "posetalk"}
    }


def test_every_package_that_is_imported_is_declared_and_pinned() -> None:
    declared = {name.lower() for name in packages(PROJECT["dependencies"])}
    declared |= {name.lower() for extra in EXTRAS for name in packages(EXTRAS[extra])}
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().split()
    }
    brought = packages_distributions()
    for module, files in imported().items():
        names = {name.lower().replace("_", "-") for name in brought.get(module, [module])}
        assert names & declared, f"{module}, imported by {files}, is not declared in pyproject.toml"
        assert names & pins, f"{module} is not pinned in constraints.txt"


def test_need_names_the_extra_that_brings_the_package() -> None:
    for file in SOURCE.rglob("*.py"):
        for module, extra in re.findall(r'need\("([\w.]+)", "(\w+)"\)', file.read_text()):
            package = {"cv2": "opencv-python-headless"}.get(module, module.split(".")[0])
            assert package in packages(EXTRAS[extra]), f"{file.name}: {extra} does not bring {module}"
