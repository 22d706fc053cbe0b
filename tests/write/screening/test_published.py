"""Published data is read whatever its form, and screened: our stand-ins have the defects of the reference's samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.llm.fault import Reason
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Sample
from posetalk.write.screening.published import read_published
from posetalk.write.screening.screen import faults_of

HERE = Path(__file__).parent / "published"


def read(path: Path, kind: Kind | None = None) -> tuple[list[Sample], list[str]]:
    skipped: list[str] = []
    return list(read_published(path, skipped, kind)), skipped


# What each record of a file must be rejected for, with words that show it was for the right reason.
DEFECTS: dict[str, list[dict[Reason, list[str]]]] = {
    "conversation.json": [
        {"turns": ["this one has 1"]},
        {"turns": ["this one has 1"]},
        {"turns": ["this one has 1"]},
        {"turns": ["this one has 1"], "guess": ["a relation", "close friends"]},
        {"turns": ["this one has 1"], "leak": ["the question", "second caption"]},
        {"turns": ["this one has 1"]},
        {"turns": ["this one has 1"]},
        {"turns": ["this one has 1"], "mismatch": ["neither yes nor no", "walls"]},
        {"turns": ["this one has 1"], "guess": ["a feeling", "happy and proud"]},
        {"turns": ["this one has 1"], "length": ["cut off", "of bread and"]},
    ],
    "detailed.json": [
        {
            "leak": ["His keypoints indicate"],
            "unreadable": ["the scene s setting"],
            "guess": ["likely friends or a"],
        },
        {"leak": ["detailed coordinates given for", "First Person (Person 1):"]},
    ],
    "reasoning.json": [
        {"leak": ["From their keypoints"], "guess": ["feel relaxed and happy"]},
        {"leak": ["the question", "From the image details provided"]},
    ],
    "clean.json": [{}] * 6,
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_record_is_rejected_for_its_own_reasons(name: str) -> None:
    samples, skipped = read(HERE / name)
    assert not skipped and len(samples) == len(DEFECTS[name])
    for one, defects in zip(samples, DEFECTS[name], strict=True):
        found = faults_of(one, None)
        assert {fault.reason for fault in found} == set(defects), (one.id, found)
        for reason, quoted in defects.items():
            said = "; ".join(fault.words for fault in found if fault.reason == reason)
            assert all(words in said for words in quoted), said


def test_all_long_ones_leak_and_are_as_long_as_the_clean_ones() -> None:
    """As in the reference's data, where the long answers have 268 to 363 words on average."""
    bad = read(HERE / "detailed.json")[0] + read(HERE / "reasoning.json")[0]
    good = [one for one in read(HERE / "clean.json")[0] if one.kind != "conversation"]
    for one in bad + good:
        assert 250 < len(one.turns[0][1].split()) < 400
    assert all("leak" in {fault.reason for fault in faults_of(one, None)} for one in bad)


def test_llavas_form_is_read() -> None:
    samples, _ = read(HERE / "conversation.json")
    assert [one.id for one in samples[:2]] == ["900001-conversation", "900001-conversation-2"]
    assert len({one.id for one in samples}) == 10, "published ids repeat"
    one = samples[0]
    assert (one.image_id, one.image) == (900001, "data/coco/train2014/000000900001.jpg")
    assert one.turns[0][0] == "What is the man on the beach doing?", "without the mark of the picture"
    kinds = [one.kind for one in read(HERE / "clean.json")[0]]
    assert kinds == ["conversation"] * 2 + ["detail"] * 2 + ["reasoning"] * 2


def test_the_kind_of_a_record(tmp_path: Path) -> None:
    path, long = tmp_path / "published.json", "The arm is raised. " * 20
    say = lambda *said: [{"from": "gpt" if i % 2 else "human", "value": text} for i, text in enumerate(said)]  # noqa: E731
    said = {
        "conversation": [say("Why?", long, "Who?", "A boy."), say("Describe the arm.", "It is raised.")],
        "detail": [
            say("Describe the arm.", long),
            say("Can you describe the arm?", long),
            say("Now the arm.", long),
        ],
        "reasoning": [say("Why is the arm raised?", long)],
    }
    path.write_text(json.dumps([record(conversations=one) for some in said.values() for one in some]))
    assert [one.kind for one in read(path)[0]] == [kind for kind, some in said.items() for _ in some]


def test_raw_conversations_are_read() -> None:
    samples, skipped = read(HERE / "raw_conversation.json")
    assert [(one.id, one.image, len(one.turns)) for one in samples] == [
        ("900001-conversation", "000000900001.jpg", 3),
        ("900002-conversation", "000000900002.jpg", 2),
        ("900003-conversation", "000000900003.jpg", 2),
    ]
    assert samples[0].turns[1] == (
        "Where is he holding the surfboard?",
        "He is holding it under his right arm, close to his body.",
    )
    assert samples[1].turns[1] == ("What do they hold?", "One of them holds a spoon.")
    assert samples[2].turns[0] == ("Is the rider standing?", "No, the rider is sitting on the horse.")
    assert [sentence.split(": ", 1)[1] for sentence in skipped] == [
        "record number 4: question and answer cannot be told apart in it",
        "record number 5: neither its id nor the name of its image has a number, so its image is not known",
    ]


def test_raw_descriptions_and_reasoning_are_read() -> None:
    """The same texts as in LLaVA's form, so what was found in one is found in the other."""
    for name, plain in (("raw_detailed.json", "detailed.json"), ("raw_reasoning.json", "reasoning.json")):
        raw, llava = read(HERE / name)[0], read(HERE / plain)[0]
        assert [one.kind for one in raw] == [llava[0].kind] * 2
        assert raw[0].turns == llava[0].turns
        assert faults_of(raw[0], None) == faults_of(llava[0], None) and faults_of(raw[1], None) == ()
    [sentence] = read(HERE / "raw_reasoning.json")[1]
    assert "record number 3" in sentence


def record(**more: object) -> dict[str, object]:
    said = [{"from": "human", "value": "<image>\nWho?"}, {"from": "gpt", "value": "A boy."}]
    return {"id": "7", "image": "a/COCO_train2014_000000000042.jpg", "conversations": said} | more


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (record(image=None), "names no image"),
        (record(id="x", image="a.jpg"), "its image is not known"),
        (record(conversations=[]), "do not speak in turn"),
        (record(conversations=[{"from": "gpt", "value": "Hello"}]), "do not speak in turn"),
        (record(conversations=[{"from": "human"}]), "missing required field value"),
        (record(conversations="Who?"), "expected array"),
        ({"image_id": 7}, "neither conversations nor"),
        ({"image_id": 7, "conversation": ""}, "cannot be told apart"),
        (7, "expected object"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_sentence(tmp_path: Path, row: object, words: str) -> None:
    path = tmp_path / "published.json"
    path.write_text(json.dumps([row, record()]))
    [one], [sentence] = read(path)
    assert (one.id, one.image_id, one.turns) == ("42-conversation", 42, (("Who?", "A boy."),))
    assert sentence.startswith(f"{path}: record ") and words in sentence
    path.write_text(json.dumps([row]))
    with pytest.raises(PosetalkError, match="none of the records"):
        read(path)


SPOKEN = "**Person:** {}\n**AI Assistant:** {}\n\n"
TURNS = tuple((f"Is number {n} up?", f"Number {n} stands.") for n in range(5))
RAW = "".join(SPOKEN.format(*turn) for turn in TURNS)


def saved(path: Path, *rows: object) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_one_bad_turn_is_left_out_of_a_raw_conversation(tmp_path: Path) -> None:
    bad = {"image_id": 8, "conversation": "**Person:** And this?\n" + RAW}
    path = saved(tmp_path / "raw.json", {"image_id": 7, "conversation": RAW}, bad)
    samples, [sentence] = read(path)
    assert [one.turns for one in samples] == [TURNS, TURNS]
    assert "record image_id 8" in sentence or "record number 2" in sentence
    assert sentence.endswith("1 of 6 turns have no question or not one answer; the others are kept")


QUESTION = "**Complex Question:** Why?\n\n**Detailed Answer:** To balance."
STATED: list[tuple[dict[str, object], Kind, object]] = [
    ({"image_id": 7, "completion": RAW}, "conversation", TURNS),
    ({"image_id": 7, "user_message": "How?", "completion": QUESTION}, "reasoning", (("Why?", "To balance."),)),
    ({"image_id": 7, "conversation": QUESTION}, "reasoning", (("Why?", "To balance."),)),
    ({"image_id": 7, "user_message": "Describe him.", "conversation": "He stands upright."}, "detail",
     (("Describe him.", "He stands upright."),)),
    ({"image_id": 7, "completion": "He stands upright."}, "detail",
     "a description needs the question that it answers (user_message)"),
    (record(), "reasoning", (("Who?", "A boy."),)),
]  # fmt: skip


@pytest.mark.parametrize(("row", "kind", "expected"), STATED)
def test_the_kind_can_be_stated(tmp_path: Path, row: object, kind: Kind, expected: object) -> None:
    path = saved(tmp_path / "stated.json", row, record())
    samples, skipped = read(path, kind)
    if isinstance(expected, str):
        assert expected in skipped[0]
    else:
        assert not skipped and samples[0].turns == expected
        assert samples[0].id.endswith(f"-{kind}") and {one.kind for one in samples} == {kind}


def test_where_none_is_read_the_known_forms_are_named(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "raw.json", *({"image_id": n, "conversation": "Two people talk."} for n in range(3))
    )
    with pytest.raises(PosetalkError) as refused:
        read(path)
    said = str(refused.value)
    assert (
        "question and answer cannot be told apart in it, and 2 more like it; known forms of a reply are"
        in said
    )
    assert all(
        form in said
        for form in ("JSON", "Question / Answer", "Person / AI Assistant", "headings", "numbered")
    )
    with pytest.raises(PosetalkError) as refused:  # of another form than a reply's
        read(saved(tmp_path / "other.json", {"image_id": 7}))
    assert "known forms" not in str(refused.value)


@pytest.mark.parametrize("kind", [None, *MODEL_KINDS])
def test_the_command_states_the_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: Kind | None
) -> None:
    path = saved(
        tmp_path / "raw.json", {"image_id": 7, "user_message": "Describe him.", "completion": QUESTION}
    )
    with pytest.raises(SystemExit) as stop:
        main(["screen", str(path), str(tmp_path / "out"), *(["--kind", kind] if kind else [])])
    written = [*tmp_path.glob("out/*.jsonl")]
    found = {json.loads(line)["kind"] for file in written for line in file.read_text().splitlines()}
    if kind == "conversation":  # one question is none
        assert stop.value.code == 2 and "1 of at least 2" in capsys.readouterr().err
    else:
        assert stop.value.code in (0, None) and found == {kind or "detail"}


def test_a_record_a_line_and_our_own_ids(tmp_path: Path) -> None:
    path = tmp_path / "published.jsonl"
    rows = [record(id="42-reasoning"), record(id="42-detail")]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n{not json\n")
    samples, skipped = read(path)
    assert [one.kind for one in samples] == ["reasoning", "detail"] and len(skipped) == 1


@pytest.mark.parametrize("text", ["", "[]", "7", "[{", '"a"', "[1, 2"])
def test_a_file_of_another_form_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "published.json"
    path.write_text(text)
    with pytest.raises(PosetalkError) as refused:
        read(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(PosetalkError, match="there is no file"):
        read(tmp_path / "nowhere.json")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = ["id", "image", "conversations", "image_id", "conversation", "user_message", "completion"]


@given(
    st.lists(_JSON | st.dictionaries(st.sampled_from(_FIELDS), _JSON | st.just("1"), max_size=5), max_size=4)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_nothing_but_samples_and_sentences(tmp_path: Path, rows: list[object]) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps([*rows, record()]))
    samples, skipped = read(path)
    assert len(samples) + len(skipped) == len(rows) + 1
    assert all(sample == Sample.of(json.loads(sample.line())) for sample in samples)
