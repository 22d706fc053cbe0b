"""The rules of the house: imports point one way, the public names are a promise, the core needs no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import posetalk

SOURCE = Path(posetalk.__file__).parent
# A part may import itself and the parts before it.
ORDER = [
    *(
        "errors",
        "resources",
        "process",
        "messages",
        "lock",
        "atomic_files",
        "inputs",
        "pose_forms",
        "types",
        "skeleton",
        "settings",
        "draw",
    ),
    *("pages", "hub", "formats", "images", "exchange"),
    *(
        "prompt",
        "model",
        "detect",
        "locate",
        "export",
        "train",
        "score",
        "facts",
        "llm",
        "write",
        "describe",
        "tune",
        "plan",
        "bench",
        "pointer",
        "scale",
        "serve",
        "cli",
        "__main__",
    ),
]


def imports(file: Path) -> set[str]:
    """The parts of posetalk that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("posetalk."):
            found.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("posetalk.")}
    return found


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda f: str(f.relative_to(SOURCE)))
def test_imports_point_one_way(file: Path) -> None:
    part = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    later = {name for name in imports(file) if ORDER.index(name) > ORDER.index(part)}
    assert not later, f"{part} imports {later}"


def test_every_part_has_its_place() -> None:
    parts = {p.stem for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert parts - {"__init__"} == set(ORDER)


def test_no_class_is_defined_twice() -> None:
    names = [
        node.name
        for file in SOURCE.rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(names) == sorted(set(names))


def test_only_the_command_line_prints() -> None:
    printing = {
        file.relative_to(SOURCE).parts[0]
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert printing == {"cli"}


def test_all_is_what_can_be_imported() -> None:
    for name in posetalk.__all__:
        home = getattr(posetalk, name).__module__
        assert home.startswith("posetalk."), name
    assert sorted(posetalk.__all__) == posetalk.__all__
    assert {n for n in dir(posetalk) if not n.startswith("__")} == set(posetalk.__all__)
    with pytest.raises(AttributeError):
        _ = posetalk.no_such_name


def loaded_by(code: str) -> set[str]:
    show = f"{code}\nimport sys\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "formats.dataset",
        "detect.nanodet",
        "score.evaluate",
        "draw",
        "skeleton",
        "locate.predictions",
        "facts.show",
        "cli",
    ],
)
def test_the_core_needs_neither_torch_nor_transformers(module: str) -> None:
    loaded = loaded_by(f"import posetalk.{module}")
    assert "posetalk" in loaded and not loaded & {"torch", "transformers", "peft"}


def test_help_loads_no_torch_and_lists_every_command() -> None:
    code = "import posetalk.cli\ntry: posetalk.cli.main(['--help'])\nexcept SystemExit: pass"
    loaded = loaded_by(code)
    for command in ("locate", "evaluate", "train", "convert", "skeletons", "tune", "chat"):
        assert command in loaded  # words of the printed help stand beside the modules
    # the start-up budget: what the words on the screen need, and nothing else
    heavy = {
        "torch",
        "transformers",
        "numpy",
        "scipy",
        "PIL",
        "pydantic",
        "msgspec",
        "hotcoco",
        "matplotlib",
    }
    assert not loaded & heavy


def test_locate_loads_only_what_a_photo_needs(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "grey.png")
    words = ["locate", str(tmp_path / "grey.png")]
    loaded = loaded_by(f"import posetalk.cli\ntry: posetalk.cli.main({words})\nexcept SystemExit: pass")
    assert {"nobody", "onnxruntime", "PIL"} <= loaded
    heavy = {
        "av",
        "filelock",
        "hotcoco",
        "huggingface_hub",
        "jinja2",
        "matplotlib",
        "pandas",
        "scipy",
        "torch",
    }
    assert not loaded & {*heavy, "tqdm", "transformers"}


def test_importing_posetalk_loads_nothing_of_others() -> None:
    before, after = loaded_by("pass"), loaded_by("import posetalk")
    assert {name for name in after - before if name not in sys.stdlib_module_names} == {"posetalk"}
