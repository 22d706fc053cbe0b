"""The picture of the studio in README and guides: the real page, by the real server, in chromium.

    python -m runs.studio_picture docs/images/studio.png

It needs the extra `dev` and Debian's packages chromium and fonts-inter.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmarks.served import Served
from playwright.sync_api import Page, expect, sync_playwright

from posetalk.resources import PAGE

SENTENCES = ("chin", "right collarbone: the bone between the neck and the right shoulder")
PICKED = "chin"


def prepare(page: Page, address: str) -> None:
    """The example with an astronaut, two points of our own, and the heat map of her chin."""
    page.goto(address)
    page.set_input_files("#file", PAGE / "examples" / "astronaut.jpg")
    expect(page.locator(".row").first).to_be_visible()
    for sentence in SENTENCES:
        page.get_by_role("combobox", name="Describe a point").fill(sentence)
        page.keyboard.press("Enter")
        expect(page.get_by_role("option", name=sentence.split(":")[0]).first).to_be_visible()
    page.get_by_role("option", name=PICKED).click()
    expect(page.locator("image.heat")).to_have_count(1)
    page.mouse.move(2, 2)
    page.locator("#points").evaluate("tab => tab.scrollTo(0, 0)")
    page.locator("#sentence").evaluate("field => field.blur()")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    expect.set_options(timeout=60_000)
    with Served() as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1.25)
        prepare(page, f"http://127.0.0.1:{served.port}/")
        page.screenshot(path=chosen.out)
        browser.close()


if __name__ == "__main__":
    main()
