"""Takes the screenshots of docs/screenshots out of a running service, light and dark.

Give the service and a key by `WINNOW_SERVER` and `WINNOW_API_KEY`; it needs two finished jobs on
one set. `winnow up` and two runs on examples/digits make one. With `--results` it takes the views
of a job's results alone, for which one job is enough.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Samples arrive after the page; a screenshot waits for the last of them.
SETTLING_MILLISECONDS = 2500
COLOURS = 200
WIDTHS = {"": 1280, "-narrow": 400}
# What a visitor sees first, without scrolling.
TOP = {"width": 1280, "height": 800}


def main() -> None:
    """Write one picture of each view for each colour scheme, and the results on a narrow screen."""
    results_alone = "--results" in sys.argv
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for scheme in ("light", "dark"):
            for suffix, width in WIDTHS.items():
                context = browser.new_context(
                    base_url=os.environ["WINNOW_SERVER"],
                    viewport={"width": width, "height": 860},
                    color_scheme=scheme,  # type: ignore[arg-type]
                )
                page, ending = context.new_page(), f"{suffix}-{scheme}"
                is_wide = suffix == ""
                job = _sign_in(page, ending, is_wide=is_wide)
                if is_wide and not results_alone:
                    _take_lists(page, ending)
                _take_results(page, job, ending, is_wide=is_wide)
                context.close()
        browser.close()


def _sign_in(page: Page, ending: str, *, is_wide: bool) -> str:
    """Sign in, and return the address of the oldest job."""
    page.goto("/")
    page.get_by_label("API key").wait_for()
    if is_wide:
        _take(page, f"sign-in{ending}")
    page.get_by_label("API key").fill(os.environ["WINNOW_API_KEY"])
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Jobs", level=1).wait_for()
    return page.get_by_role("table").get_by_role("link").last.get_attribute("href") or ""


def _take_lists(page: Page, ending: str) -> None:
    dataset = "/datasets"
    for name, path in (("jobs", "/jobs"), ("new-job", "/jobs/new"), ("datasets", dataset)):
        page.goto(path)
        _take(page, f"{name}{ending}")
    page.get_by_role("table").get_by_role("link").last.click()
    _take(page, f"dataset{ending}")
    page.goto("/compare")
    _take(page, f"compare{ending}", is_whole=True)


def _take_results(page: Page, job: str, ending: str, *, is_wide: bool) -> None:
    page.goto(f"{job}?cut=0.5")
    page.get_by_role("slider").wait_for()
    page.wait_for_timeout(SETTLING_MILLISECONDS)
    page.get_by_role("button", pressed=False).filter(has=page.locator("img")).nth(2).click()
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    _take(page, f"results{ending}", is_whole=is_wide)
    if is_wide:
        page.set_viewport_size(TOP)  # type: ignore[arg-type]
        _take(page, f"results-top{ending}")


def _take(page: Page, name: str, *, is_whole: bool = False) -> None:
    page.wait_for_timeout(SETTLING_MILLISECONDS)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=is_whole)))
    # A page has few colours; a palette makes the file a third as large.
    picture.convert("RGB").quantize(COLOURS).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
