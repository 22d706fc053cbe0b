"""Records of large files, read in pieces."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.formats import stream

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
lists = st.dictionaries(
    st.text(), st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=4), max_size=4
)


@given(whole=lists, chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]), ascii_=st.booleans())
def test_every_record_comes_back_whole_however_the_file_is_cut(
    whole: dict[str, list[object]],
    chunk: int,
    indent: int | None,
    ascii_: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("cut") / "file.json"
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=ascii_), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK", chunk)
        found = [json.loads(bytes(raw)) for _, raw in stream.records(path)]
    assert found == [record for records in whole.values() for record in records]


def test_keys_are_those_of_the_lists_and_other_values_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(
        '{"info": {"year": 2017}, "images": [{"id": 1}], "version": "images", "n": 3, "annotations": []}'
    )
    assert [(key, bytes(raw)) for key, raw in stream.records(path)] == [("images", b'{"id": 1}')]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "no JSON object"),
        ('{"annotations": [{"id": 1}', "not whole"),
        ('{"annotations": [{"id": 1}, {"id": ', "not whole"),
        ('{"annotations": "unfinished', "not whole"),
    ],
)
def test_a_file_of_another_form_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(PosetalkError, match=words):
        list(stream.records(path))


def test_a_bad_record_is_skipped_alone_and_named(tmp_path: Path) -> None:
    class Named(msgspec.Struct):
        name: str

    path = tmp_path / "some.json"
    path.write_text('{"annotations": [{"name": "a"}, {"id": 7, "name": 3}, {"name": NaN}, {"name": "b"}]}')
    skipped: list[str] = []
    decoder = msgspec.json.Decoder(Named)
    found = stream.read_records(path, "annotations", lambda raw: decoder.decode(raw), skipped)
    with pytest.raises(msgspec.ValidationError):
        list(found)  # only PosetalkError is a reader's word for a bad record

    from posetalk.formats.files import decode_record

    found = stream.read_records(path, "annotations", lambda raw: decode_record(decoder, raw), skipped)
    assert [one.name for one in found] == ["a", "b"]
    assert len(skipped) == 2 and "annotation 7" in skipped[0] and "null or NaN" in skipped[1]
