"""The studio in a browser: Debian's chromium, driven by playwright, with a real server on loopback."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from benchmarks.served import Served
from PIL import ExifTags, Image
from playwright.sync_api import Browser, FileChooser, Page, Request, Route, expect, sync_playwright

from posetalk import Localizer
from posetalk.resources import PAGE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FLAGS += ["--disable-component-update", "--disable-sync"]
CAMERA = PAGE / "examples" / "camera.jpg"
ASTRONAUT = PAGE / "examples" / "astronaut.jpg"
FOUND = re.compile(r"\d+ (person|people) in \d")
PATIENCE = 30_000  # ms
NOSE = '.stage circle[data-name="nose"]'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; .ci/browser installs Debian's")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server, as `posetalk serve` starts it."""
    with Served() as served:
        yield f"http://127.0.0.1:{served.port}/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        yield browser


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, of the size and colours that a test asks for. Nothing that it does leaves the machine or fails."""
    context = browser.new_context(**getattr(request, "param", {"viewport": {"width": 1280, "height": 800}}))
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    elsewhere: list[str] = []
    faults: list[str] = []

    def keep_here(route: Route, request: Request) -> None:
        if request.url.startswith(address):
            route.continue_()
        else:
            elsewhere.append(request.url)
            route.abort()

    context.route("**/*", keep_here)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if "Security" in message.text else None)
    page.goto(address)
    yield page
    context.close()
    assert not elsewhere and not faults


def show(page: Page, photo: Path) -> None:
    page.set_input_files("#file", photo)
    expect(page.locator("#status")).to_have_text(FOUND)


def ask(page: Page, sentence: str) -> None:
    page.get_by_role("combobox", name="Describe a point").fill(sentence)
    page.keyboard.press("Enter")
    expect(page.locator(".sentences li")).not_to_have_count(0)
    expect(page.locator(".sentences .swatch").last).to_be_visible()
    expect(page.get_by_role("option", name=sentence.split(":")[0]).first).to_be_visible()


def place_of(page: Page, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
    """Where a shape is on the screen, asked for at once: every change draws all shapes anew."""
    expect(page.locator(selector).first).to_be_visible()
    box = page.evaluate(
        "selector => { const {x, y, width, height} = document.querySelector(selector).getBoundingClientRect();"
        " return [x, y, width, height]; }",
        selector,
    )
    return box[0] + across * box[2], box[1] + down * box[3]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of two people."""
    photo = Image.new("RGB", (1024, 512))
    for i, one in enumerate((CAMERA, ASTRONAUT)):
        photo.paste(Image.open(one), (512 * i, 0))
    path = tmp_path_factory.mktemp("photos") / "pair.jpg"
    photo.save(path)
    return path


def test_a_photo_a_person_a_point_its_heat_map(page: Page, pair: Path) -> None:
    show(page, pair)
    expect(page.locator("#people label")).to_have_count(3)
    page.mouse.click(*place_of(page, ".person rect", 0.9, 0.9))  # where no point is
    expect(page.get_by_role("radio", name="Person 1")).to_be_checked()
    ask(page, "left heel: the back of the left foot")
    expect(page.locator("image.heat")).to_have_count(1)
    expect(page.locator("#stage .tip")).to_contain_text("left heel")
    page.mouse.move(*place_of(page, NOSE))
    expect(page.locator("#stage .tip")).to_contain_text("nose")
    expect(page.locator("#stage .tip")).to_contain_text("score")
    page.mouse.click(*place_of(page, NOSE))
    expect(page.get_by_role("option", name="nose")).to_have_attribute("aria-selected", "true")
    expect(page.locator("image.heat")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("image.heat")).to_have_count(0)
    shown = page.locator(".row").count()
    page.locator("#least").fill("0.8")
    expect(page.locator(".row")).not_to_have_count(shown)
    expect(page.locator(".count").first).to_contain_text(" of ")


def test_a_place_is_clicked_and_its_words_are_asked_for(page: Page, pair: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if "/v1/describe" in one.url else None)
    show(page, pair)
    expect(page.locator("#people label")).to_have_count(3)
    card = page.get_by_role("dialog", name="Words for a place")
    x, y, w, h = page.evaluate(
        "() => { const {x, y, width, height} = document.querySelector('#stage .frame').getBoundingClientRect();"
        " return [x, y, width, height]; }"
    )
    page.mouse.click(x + 0.62 * w, y + 0.62 * h)
    expect(card).to_contain_text("right side of the chest")
    expect(card).to_contain_text("Person 2")
    expect(card).to_contain_text(re.compile("[Cc]ertain"))
    expect(page.get_by_role("radio", name="Person 2")).to_be_checked()
    expect(page.locator("#stage .place")).to_have_count(1)
    assert [url.rpartition("/v1/")[2] for url in sent] == ["describe", "describe/located"]
    page.mouse.click(x + 0.97 * w, y + 0.05 * h)
    expect(card).to_contain_text("not on a person")
    expect(card.get_by_role("button", name="Ask for this")).to_have_count(0)
    assert len(sent) == 3, "a second place was located again"
    page.mouse.click(x + 0.62 * w, y + 0.62 * h)
    expect(card).to_contain_text("right side of the chest")
    sentence = card.locator("p").first.text_content()
    card.get_by_role("button", name="Ask for this").click()
    expect(card).to_have_count(0)
    expect(page.locator(".sentences input")).to_have_value(sentence or "")
    expect(page.locator("image.heat")).to_have_count(1)
    expect(page.locator("#stage .place")).to_have_count(0)


def test_a_place_by_keyboard(page: Page) -> None:
    show(page, ASTRONAUT)
    across = page.get_by_role("spinbutton", name="x")
    across.fill("227")
    page.keyboard.press("Tab")
    page.keyboard.type("118")
    before = page.locator("#stage .place path").first.get_attribute("d")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#stage .place path").first).not_to_have_attribute("d", before or "")
    page.keyboard.press("Enter")
    card = page.get_by_role("dialog", name="Words for a place")
    expect(card).to_be_focused()
    expect(card).to_contain_text("nose")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="Ask for this")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card).to_have_count(0)
    expect(page.get_by_role("spinbutton", name="y")).to_be_focused()
    across.fill("9999")
    page.keyboard.press("Enter")
    expect(card).to_contain_text("lies outside the image of 512 x 512 px")


def test_names_are_suggested_and_unknown_ones_marked(page: Page) -> None:
    show(page, ASTRONAUT)
    field = page.get_by_role("combobox", name="Describe a point")
    field.fill("left kn")
    expect(page.get_by_role("option", name="left knee").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".sentences input")).to_have_value(re.compile("^left knee"))
    field.fill("wug of the torso")
    expect(page.locator("#sentence-note")).to_contain_text("not learned")
    field.fill("badge: the badge on the chest")
    page.keyboard.press("Enter")
    expect(page.locator(".sentences .unknown")).to_have_count(1)
    page.get_by_role("button", name="Remove “badge: the badge on the chest”").click()
    expect(page.locator(".sentences li")).to_have_count(1)


def test_a_sentence_that_cannot_be_asked_stands_with_its_reason(page: Page) -> None:
    show(page, ASTRONAUT)
    ask(page, "chin")
    page.get_by_role("combobox", name="Describe a point").fill("l_knee")
    page.keyboard.press("Enter")
    expect(page.locator(".sentences .wrong-note")).to_contain_text("l_knee")
    expect(page.get_by_role("option", name="chin")).to_be_visible()


WRONG = {
    "notes.jpg": (b"Dear diary, this is no photo.", "is no image"),
    "page.png": (b"<html><script>alert(1)</script></html>", "is no image"),
    "empty.jpg": (b"", "is empty"),
    "clip.mp4": (b"\0\0\0\x18ftypmp42 and no more", "is no clip"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "image"),
}


def test_a_wrong_file_is_refused_in_a_sentence(page: Page, tmp_path: Path) -> None:
    for name, (content, sentence) in WRONG.items():
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        expect(page.get_by_role("alert")).to_contain_text(sentence)
        page.get_by_role("button", name="Close the message").click()
        expect(page.locator("#start")).to_be_visible()


def test_what_was_found_survives_a_wrong_and_a_huge_file(page: Page, tmp_path: Path) -> None:
    show(page, ASTRONAUT)
    huge = tmp_path / "huge.bmp"
    Image.fromarray(np.zeros((3000, 3000, 3), np.uint8)).save(huge)  # 27 MB, more than the server takes
    page.set_input_files("#file", huge)
    expect(page.get_by_role("alert")).to_contain_text("bytes")
    expect(page.locator(".stage img").first).to_have_attribute("alt", "astronaut.jpg")
    expect(page.locator(".row")).not_to_have_count(0)


def test_eight_people(page: Page, tmp_path: Path) -> None:
    man = Image.open(CAMERA).crop((0, 20, 330, 512)).resize((165, 246))
    row = Image.new("RGB", (8 * 190, 300), (200, 200, 200))
    for i in range(8):
        row.paste(man, (190 * i + 10, 40))
    row.save(tmp_path / "eight.png")
    show(page, tmp_path / "eight.png")
    expect(page.locator("#people label")).to_have_count(9)
    page.get_by_role("radio", name="Person 5").check(force=True)
    page.get_by_role("tab", name="Facts").click()
    expect(page.locator(".fact-list li").first).to_be_visible()


def test_questions_facts_and_words(page: Page) -> None:
    show(page, ASTRONAUT)
    page.get_by_role("tab", name="Facts").click()
    page.get_by_label("Ask about the people").fill("Are both arms raised?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer strong")).to_have_text(re.compile("yes|no|not known"))
    expect(page.locator(".fact-list small").first).to_contain_text("joints")
    page.get_by_role("tab", name="Text").click()
    expect(page.locator(".turn.assistant").first).to_be_visible()
    page.get_by_role("radio", name="Description").check()
    expect(page.locator(".turn.user")).to_have_count(1)
    before = page.locator(".turns").text_content()
    page.get_by_role("button", name="Write another").click()
    expect(page.locator(".turns")).not_to_have_text(before or "")


def test_two_wordings_side_by_side(page: Page) -> None:
    show(page, ASTRONAUT)
    ask(page, "chin: the lowest point of the face")
    page.get_by_role("button", name=re.compile("^Compare")).click()
    expect(page.locator(".verdict")).to_contain_text("px apart")
    expect(page.locator(".compare image.heat")).to_have_count(2)
    page.get_by_label("Second wording").fill("left shoulder")
    page.keyboard.press("Enter")
    expect(page.locator(".about").nth(1)).to_contain_text("score")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#stage")).to_be_visible()


def test_downloads_are_what_the_library_gives(page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "turned.jpg"  # upright only for who reads its EXIF
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.open(ASTRONAUT).crop((0, 0, 400, 512)).rotate(90, expand=True).save(photo, exif=exif, quality=95)
    show(page, photo)
    ask(page, "chin, the lowest: lowest point of the face")
    page.get_by_role("tab", name="Use").click()
    files = {}
    for form in ("png", "json", "coco", "csv"):
        with page.expect_download() as download:
            page.locator(f"#save-{form}").click()
        files[form] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[form])
    with Image.open(files["png"]) as drawn:
        assert drawn.size == (400, 512)
    people = json.loads(files["json"].read_text())["people"]
    theirs = np.array([[(point["x"], point["y"]) for point in person["keypoints"]] for person in people])
    ours = Localizer.from_pretrained("bundled").set_image(photo).locate([one["box"] for one in people])
    assert np.allclose(theirs[:, :17], ours.xy, atol=0.5)  # boxes are rounded
    labels = json.loads(files["coco"].read_text())
    assert np.allclose(np.reshape(labels["annotations"][0]["keypoints"], (18, 3))[:, :2], theirs[0])
    assert labels["categories"][0]["skeleton"] == [[a + 1, b + 1] for a, b in ours.limbs]
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert len(rows) == 18 * len(people) and rows[17]["keypoint"] == "chin, the lowest"
    said: dict[str, Any] = {}
    exec((page.locator("pre").text_content() or "").replace('"turned.jpg"', repr(str(photo))), said)
    assert np.allclose(said["poses"].xy, theirs, atol=0.5)
    page.get_by_role("radio", name="Command").check()
    command = shlex.split((page.locator("pre").text_content() or "").replace("\\\n", " "))
    subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, check=True, capture_output=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["image"] == "turned.jpg" and found["people"][0].keys() == people[0].keys()
    for one, other in zip(found["people"][0]["keypoints"], people[0]["keypoints"], strict=True):
        assert one.keys() == other.keys() and one["name"] == other["name"]
        assert abs(one["x"] - other["x"]) < 0.5


def test_a_clip_gives_its_frames(page: Page, tmp_path: Path) -> None:
    photo = Image.open(CAMERA).convert("RGB")
    with av.open(str(tmp_path / "clip.webm"), "w") as clip:
        stream = clip.add_stream("libvpx", rate=5)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        for shift in range(10):
            moved = photo.rotate(0, translate=(4 * shift, 0)).resize((256, 256))
            clip.mux(stream.encode(av.VideoFrame.from_image(moved)))
        clip.mux(stream.encode())
    show(page, tmp_path / "clip.webm")
    expect(page.locator("#clip")).to_be_visible()
    page.locator("#frame").fill("1.2")
    expect(page.locator(".stage img").first).to_have_attribute("alt", re.compile("1.20 s"))
    expect(page.locator("#status")).to_have_text(FOUND)


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 375, "height": 720}, "has_touch": True}], indirect=True
)
def test_on_a_phone_nothing_sticks_out(page: Page) -> None:
    def width() -> int:
        return int(page.evaluate("document.documentElement.scrollWidth"))

    assert width() == 375
    page.get_by_role("button", name="man with a camera").tap()
    expect(page.locator("#status")).to_have_text(FOUND)
    ask(page, "left heel: the back of the left foot, where the shoe touches the ground")
    for tab in ("Points", "Facts", "Text", "Use"):
        page.get_by_role("tab", name=tab).tap()
        assert width() == 375, tab
    page.evaluate("scrollTo(0, 0)")
    page.touchscreen.tap(*place_of(page, "#stage .frame", 0.3, 0.4))
    card = page.get_by_role("dialog", name="Words for a place")
    expect(card).to_contain_text(re.compile("[Cc]ertain"))
    box = card.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 375 and box["y"] + box["height"] <= 720
    assert width() == 375


def test_by_keyboard_alone(page: Page, pair: Path) -> None:
    def tab_to(what: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator(f"{what}:focus").count():
                return
        raise AssertionError(f"no way to {what} by Tab")

    choosers: list[FileChooser] = []
    # long before the key is pressed: the browser needs a moment to know that it is to tell of it
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    tab_to("#file")
    page.keyboard.press("Space")
    for _ in range(PATIENCE // 100):
        if choosers:
            break
        page.wait_for_timeout(100)
    choosers[0].set_files(pair)
    expect(page.locator("#status")).to_have_text(FOUND)
    tab_to("#people input")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Person 1")).to_be_checked()
    tab_to("#tab-points")
    tab_to("#sentence")
    page.keyboard.type("left heel: the back of the left foot")
    page.keyboard.press("Enter")
    expect(page.locator("image.heat")).to_have_count(1)
    tab_to(".list")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="nose")).to_have_attribute("aria-selected", "true")
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.locator("#tab-points:focus").count():
            break
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-facts")).to_be_focused()
    expect(page.locator("#facts")).to_be_visible()
    tab_to("#question")
    page.keyboard.type("Is the person standing?")
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_be_visible()


LIGHT = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
DARK = {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"}


@pytest.mark.parametrize("page", [LIGHT, DARK], indirect=True, ids=["light", "dark"])
def test_axe_finds_no_serious_fault(page: Page) -> None:
    page.evaluate(AXE_FILE_PATH.read_text(encoding="utf-8"))

    def check(where: str) -> None:
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        serious = [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert not serious, (where, serious)

    check("start")
    show(page, CAMERA)
    ask(page, "badge: the badge on the chest")
    page.locator(".row").first.click()
    expect(page.locator("image.heat")).to_have_count(1)
    check("points")
    page.get_by_role("button", name="Describe").click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile("[Cc]ertain"))
    check("place")
    page.get_by_role("button", name=re.compile("^Compare")).click()
    expect(page.locator(".verdict")).to_contain_text("px apart")
    check("compare")
    page.get_by_role("button", name="Close").click()
    for tab in ("Facts", "Text", "Use"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        check(tab)


def test_a_server_that_went_away_is_said(page: Page) -> None:
    show(page, ASTRONAUT)
    page.context.route("**/v1/**", lambda route: route.abort())
    page.get_by_role("combobox", name="Describe a point").fill("chin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("Is posetalk serve still running?")
    expect(page.locator(".row")).not_to_have_count(0)
