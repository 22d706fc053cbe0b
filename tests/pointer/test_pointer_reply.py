"""Places are read out of whatever a model writes; what a form writes, it reads; nothing makes the reader fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.pointer.form import FORMS, Place, PointForm, load_form
from posetalk.pointer.reply import read_places
from posetalk.skeleton import Keypoint

SIZE = (500, 250)
NAMES = ("left heel", "right heel", "navel")
QWEN2, QWEN3, MOLMO, MOLMO2, GEMINI, MOONDREAM, FLORENCE, PLAIN = map(load_form, FORMS)
SHARES = st.floats(0, 1)


def places(reply: str | None, form: PointForm, names: tuple[str, ...] = NAMES) -> list[Place | str]:
    """The places, or the outcome where there is none."""
    read = read_places(reply, form, names, SIZE)
    assert all((one.place is not None) == (one.outcome == "found") for one in read)
    return [
        one.outcome if one.place is None else (round(one.place[0], 4), round(one.place[1], 4)) for one in read
    ]


@pytest.mark.parametrize("name", FORMS)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_what_a_form_writes_it_reads(name: str, data: st.DataObject) -> None:
    form = load_form(name)
    names = data.draw(
        st.lists(st.sampled_from([*NAMES, "heel", "big-toe", 'a "b"', "Nabel é"]), min_size=1, unique=True)
    )
    if form.syntax == "xy":
        names = names[:1]  # without labels
    size = data.draw(st.tuples(st.integers(28, 2000), st.integers(28, 2000)))
    given_places = {name: data.draw(st.tuples(SHARES, SHARES)) for name in names}
    read = read_places(form.write(given_places, size), form, names, size)
    for one, place in zip(read, given_places.values(), strict=True):
        assert one.place is not None
        for found, told, length in zip(one.place, place, size, strict=True):
            full = length if form.scale == "pixels" else form.scale
            assert abs(found - told) <= 0.51 * 10**-form.decimals / full


PIECES = st.sampled_from(
    [*'[]{}()<>"\',:;`', "<point", ' x="', ' y1="', "<points coords=\"", '"label"', "left heel", "<loc_12>", "null",
     "12", "-3.5", "1e999", "9" * 400, "```json", "\n", "[[[[" * 40, "\\", "\ud800", "\0", "I can't", "alt='"]
)  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
@settings(deadline=None, max_examples=25)
@given(reply=st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_no_text_makes_it_fail(name: str, reply: str) -> None:
    read = read_places(reply, load_form(name), NAMES, SIZE)
    assert len(read) == len(NAMES)
    assert all(0 <= v <= 1 for one in read if one.place for v in one.place)


@pytest.mark.parametrize(
    "hostile", ["[" * 10**6, '{"a":' * 10**5, "<point x=" * 10**5, "(1," * 10**5, "x" * 10**7]
)
def test_long_replies_take_no_time(hostile: str) -> None:
    assert places(hostile, QWEN3) == ["unreadable"] * 3


@pytest.mark.parametrize(
    ("form", "reply", "expected"),
    [
        # each family's own form, as its documentation shows it
        (QWEN2, '[{"point_2d": [50, 25], "label": "left heel"}]', (0.1, 0.1)),
        (QWEN3, '[{"point_2d": [100, 200], "label": "left heel"}]', (0.1, 0.2)),
        (MOLMO, '<point x="63.5" y="44.5" alt="left heel">left heel</point>', (0.635, 0.445)),
        (MOLMO, '<points x1="10.0" y1="20.0" x2="30" y2="40" alt="left heel">left heel</points>', (0.1, 0.2)),
        (MOLMO2, '<points coords="1 1 452 321">left heel</points>', (0.452, 0.321)),
        (MOLMO2, '<points coords="1 1 045 060 2 485 350">left heel</points>', (0.045, 0.06)),
        (MOLMO2, '<points coords="1 1 452 321;1 2 485 350"/>', (0.452, 0.321)),
        (GEMINI, '[{"point": [376, 508], "label": "left heel"}]', (0.508, 0.376)),
        (GEMINI, '[{"box_2d": [100, 300, 200, 500], "label": "left heel"}]', (0.4, 0.15)),
        (MOONDREAM, '{"request_id": "a", "points": [{"x": 0.65, "y": 0.42}, {"x": 0.1, "y": 0.2}]}', (0.65, 0.42)),
        (FLORENCE, "left heel<loc_100><loc_200><loc_299><loc_399>", (0.2, 0.3)),
        (FLORENCE, "</s><s>left heel<loc_10><loc_20></s>", (0.0105, 0.0205)),
        (PLAIN, '{"left heel": [250, 125]}', (0.5, 0.5)),
        # wrapped
        (QWEN3, 'Sure!\n```json\n[\n  {"point_2d": [100, 200], "label": "left heel"}\n]\n```\nDone.', (0.1, 0.2)),
        (QWEN3, 'The heel is at {"point_2d": [100, 200]} I think.', (0.1, 0.2)),
        (QWEN3, '{"points": [{"point_2d": ["100", "200"], "label": "left_heel"}]}', (0.1, 0.2)),
        # other syntaxes than asked for: the form decides on scale and order
        (QWEN3, '<point x="100" y="200">left heel</point>', (0.1, 0.2)),
        (GEMINI, '{"left heel": {"y": 100, "x": 200}}', (0.2, 0.1)),
        (GEMINI, "The left heel: [100, 200].", (0.2, 0.1)),
        (QWEN2, "It is at (50, 25).", (0.1, 0.1)),
        (QWEN3, '[{"bbox_2d": [0, 0, 900, 900], "point_2d": [100, 200], "label": "left heel"}]', (0.1, 0.2)),
        (PLAIN, '{"heel": [250, 125]}', (0.5, 0.5)),  # one was asked for, so it is meant
        # none
        (QWEN3, '[{"point_2d": [100, 1200], "label": "left heel"}]', "off scale"),
        (QWEN3, '[{"point_2d": [-1, -1], "label": "left heel"}]', "off scale"),
        (MOLMO, '<point x="163.5" y="44.5" alt="left heel">left heel</point>', "off scale"),
        (QWEN3, "I'm sorry, but I can't help with people in pictures.", "refused"),
        (QWEN3, "The left heel is not visible in this image.", "refused"),
        (QWEN3, "There are none.", "refused"),
        (QWEN3, "```json\n[]\n```", "refused"),
        (QWEN3, '[{"point_2d": null, "label": "left heel"}]', "refused"),
        (QWEN3, '{"left heel": null}', "refused"),
        (QWEN3, "A man rides a horse.", "unreadable"),
        (QWEN3, "", "unreadable"),
        (QWEN3, '[{"point_2d": [100, true], "label": "left heel"}]', "unreadable"),
        (QWEN3, '[{"point_2d": [100, NaN], "label": "left heel"}]', "unreadable"),
        (QWEN3, None, "not answered"),
    ],
)  # fmt: skip
def test_one_place(form: PointForm, reply: str | None, expected: Place | str) -> None:
    assert places(reply, form, ("left heel",)) == [expected]


@pytest.mark.parametrize(
    ("form", "reply", "expected"),
    [
        # by label, in any order, whatever more stands in it
        (
            QWEN3,
            '[{"point_2d": [300, 300], "label": "Navel"}, {"point_2d": [200, 200], "label": "person\'s RIGHT_heel"}]',
            ["left out", (0.2, 0.2), (0.3, 0.3)],
        ),
        (
            PLAIN,
            '{"navel": [250, 125], "left heel": null, "right heel": [900, 1]}',
            ["refused", "off scale", (0.5, 0.5)],
        ),
        (
            MOLMO,
            '<point x="1" y="2" alt="navel">a</point> and <point x="3" y="4" alt="left heel">b</point>',
            [(0.03, 0.04), "left out", (0.01, 0.02)],
        ),
        (
            FLORENCE,
            "left heel<loc_0><loc_0><loc_1><loc_1>navel<loc_10><loc_10><loc_11><loc_11>",
            [(0.001, 0.001), "left out", (0.011, 0.011)],
        ),
        # of several for one name the first
        (QWEN3, '{"navel": [[300, 300], [1, 2]]}', ["left out", "left out", (0.3, 0.3)]),
        # without labels: in order, if they are as many
        (QWEN3, "[[100, 100], [200, 200], [300, 300]]", [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]),
        (QWEN3, "1. (100, 100)\n2. (200, 200)\n3. (300, 300)", [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)]),
        (QWEN3, "[[100, 100], [200, 200]]", ["left out"] * 3),
        # in words
        (QWEN3, "navel at (300, 300); the left heel at [100, 100]", [(0.1, 0.1), "left out", (0.3, 0.3)]),
        # cut off in the middle
        (
            QWEN3,
            '[{"point_2d": [100, 100], "label": "left heel"}, {"point_2d": [200, 2',
            [(0.1, 0.1), "left out", "left out"],
        ),
        (QWEN3, "I cannot do that.", ["refused"] * 3),
    ],
)  # fmt: skip
def test_several_places(form: PointForm, reply: str, expected: list[Place | str]) -> None:
    assert places(reply, form) == expected


def test_a_longer_name_is_no_shorter_one() -> None:
    reply = '[{"point_2d": [100, 100], "label": "left big toe tip"}, {"point_2d": [200, 200], "label": "left big toe"}]'
    assert places(reply, QWEN3, ("left big toe", "left big toe tip")) == [(0.2, 0.2), (0.1, 0.1)]


@pytest.mark.parametrize("name", FORMS)
def test_a_question_names_the_points_and_the_person(name: str) -> None:
    form = load_form(name)
    heel = Keypoint("left heel", "the {who} of the left foot")
    asked = form.ask([heel], SIZE, ((0.1, 0.2), (0.3, 0.4)))
    assert "left heel" in asked and "{points}" not in asked
    assert ("the {who} of the left foot" in asked) == (
        "{sentence}" in form.line
    )  # nothing in it is filled in
    assert ("the person in the box" in asked) == bool(form.box)
    crop = form.ask([Keypoint("navel")], SIZE)
    assert (
        "the person in the middle of the picture" in crop and "navel:" not in crop and "navel (" not in crop
    )


@pytest.mark.parametrize(
    ("form", "box"),
    [(QWEN2, "[50, 50, 150, 100]"), (QWEN3, "[100, 200, 300, 400]"), (GEMINI, "[200, 100, 400, 300]"),
     (MOLMO, "x 10.0 to 30.0, y 20.0 to 40.0"), (MOONDREAM, "x 0.100 to 0.300, y 0.200 to 0.400")],
)  # fmt: skip
def test_the_box_is_in_the_forms_own_numbers(form: PointForm, box: str) -> None:
    assert f"the person in the box {box}" in form.ask([Keypoint("navel")], SIZE, ((0.1, 0.2), (0.3, 0.4)))


def test_a_form_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'syntax = "mapping"\nscale = 10\nbox = ""\npoints_per_request = 1\nprompt = "Where is {points}?"\n'
    )
    form = load_form(str(file))
    assert form.ask([Keypoint("navel")], SIZE) == "Where is - navel?"
    assert places('{"navel": [1, 2]}', form, ("navel",)) == [(0.1, 0.2)]
    with pytest.raises(PosetalkError, match="no form 'qwen9' of pointing; choose of qwen"):
        load_form("qwen9")
    file.write_text('syntax = "mapping"\n')
    with pytest.raises(PosetalkError, match="Field required"):
        load_form(str(file))
