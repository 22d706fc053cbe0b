"""What is asked about pictures and tuned may come from anybody: broken and hostile folders end in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.model.test_hostile_folders import BROKEN, MARK, Spoil, change, photo, said, spoilt, write  # noqa: F401
from tests.tune.conftest import tiny

ROWS: list[tuple[str, Spoil, str]] = [
    ("template of one loop", lambda f: write(f, "chat_template.jinja", "{% for a in range(10**9) %}{% endfor %}"),
     "Range too big"),
    ("template long", lambda f: write(f, "chat_template.jinja", "{{ 'a' * 10**7 }}"), "100,000 characters"),
    ("template of terabytes", lambda f: write(f, "chat_template.jinja", "{{ 'a' * 10**12 }}"), "512 MB"),
    ("template that doubles", lambda f: write(f, "chat_template.jinja",
        "{% set n = namespace(x='a') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}"),
     "cannot be used: it "),  # too large, or on a busy machine too slow
    ("template a tower", lambda f: write(f, "chat_template.jinja", "{{ 9**(9**(9**9)) }}"), "does not end"),
    ("template calls itself", lambda f: write(f, "chat_template.jinja",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "chat template"),
    ("template no Jinja", lambda f: write(f, "chat_template.jinja", "{% for %}"), "chat template"),
    ("template refuses", lambda f: write(f, "chat_template.jinja", "{{ raise_exception('[/red] no') }}"), "[/red] no"),
    ("template breaks out", lambda f: write(f, "chat_template.jinja",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}"), "chat template"),
    ("no processor", lambda f: [p.unlink() for p in f.glob("*processor*.json")], "processor"),
    ("pictures huge", lambda f: change(f, "processor_config.json", image_processor__size={"shortest_edge": 10**6}),
     "larger than 4,096 px"),
    ("patches none", lambda f: change(f, "processor_config.json", patch_size=0), "cannot answer"),
    ("patches of another tower", lambda f: change(f, "processor_config.json", patch_size=7), "cannot answer"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "says"), [r[1:] for r in BROKEN + ROWS], ids=[r[0] for r in BROKEN + ROWS])
def test_a_model_that_talks(
    spoil: Spoil,
    says: str,
    llava: Path,
    photo: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = spoilt(llava, spoil, tmp_path)
    assert says in (line := said(["chat", photo, "Where?", "--model", folder], capfd)), line
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize("length", [1, 3])
def test_adapters_in_a_ring(
    length: int,
    llava: Path,
    photo: Path,  # noqa: F811
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folders = [tmp_path / str(number) for number in range(length)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        config = {"peft_type": "LORA", "base_model_name_or_path": str(folders[(number + 1) % length])}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        shutil.copy(llava / "model.safetensors", folder / "adapter_model.safetensors")
    line = said(["chat", photo, "Where?", "--model", folders[0]], capfd)
    assert "belong to adapters that belong to them" in line


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda f: write(f, "chat_template.jinja", "{% for a in range(9**5) %}" * 2 + "{% endfor %}" * 2),
            "it does not end",
        ),
        (lambda f: change(f, "processor_config.json", patch_size=0), "how many tokens an image has"),
        (lambda f: change(f, "processor_config.json", patch_size=7), "do not belong together"),
        (lambda f: write(f, "adapter_config.json", "{{"), "adapter_config.json"),
        (
            lambda f: write(
                f,
                "chat_template.jinja",
                "{% if messages[0].content[1].text != 'Where?' %}{{ 1 / 0 }}{% endif %}",
            ),
            "the model's chat template fails: division by zero",
        ),
    ],
)
def test_a_model_to_tune_is_looked_at_like_one_to_ask(
    spoil: Spoil, says: str, llava: Path, talk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny(spoilt(llava, spoil, tmp_path), talk).save(tmp_path / "run.toml")
    assert says in said(["tune", "--settings", tmp_path / "run.toml", "--out", tmp_path / "out"], capfd)
