"""What a person does in the dashboard, in the words of the page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response, expect

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
# A small run takes tens of seconds; a busy machine takes several times as long.
RUN_MILLISECONDS = 240_000
SERIOUS = {"serious", "critical"}


def upload(page: Page, role: str, path: Path) -> None:
    page.goto("/datasets")
    with page.expect_response(_makes_dataset) as made:
        page.get_by_label(f"File of the {role} set").set_input_files(path)
    # By its own id: a set of the same name may be ready already.
    link = page.locator(f"a[href$='/datasets/{made.value.json()['id']}']")
    expect(page.get_by_role("row").filter(has=link).get_by_text("ready")).to_be_visible()


def _makes_dataset(response: Response) -> bool:
    path = urlsplit(response.url).path
    return response.request.method == "POST" and path == "/v1/datasets"


def start_job(page: Page, **settings: str) -> None:
    """Start a job on the newest sets; a run of few steps without a report takes seconds."""
    page.goto("/jobs/new")
    for name, value in settings.items():
        page.get_by_label(name, exact=False).first.fill(value)
    page.get_by_role("switch", name="Evaluate").press("Space")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}"))


def wait_for_results(page: Page) -> None:
    page.get_by_role("slider").wait_for(timeout=RUN_MILLISECONDS)
    expect(page.get_by_test_id("counts")).to_contain_text("kept")


def counts(page: Page) -> tuple[int, int]:
    """Return how many samples are kept and dropped."""
    text = page.get_by_test_id("counts").inner_text()
    kept, dropped = re.search(r"([\d,]+) kept\s+([\d,]+) dropped", text).groups()  # type: ignore[union-attr]
    return int(kept.replace(",", "")), int(dropped.replace(",", ""))


def run_script(script: str, folder: Path) -> str:
    """Run lines of the page where a script of one's own would be, and return what they print."""
    told = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def serious_faults(page: Page) -> list[str]:
    """Return what axe finds on the page that keeps somebody from using it.

    Colours that fade in look faulty until they are there, which takes long on a busy machine; what
    is faulty stays so.
    """
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = _faults_now(page)
    for _ in range(15):
        if not found:
            break
        page.wait_for_timeout(1000)
        found = _faults_now(page)
    return found


def _faults_now(page: Page) -> list[str]:
    found = page.evaluate("axe.run()")
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in SERIOUS
        for node in fault["nodes"]
    ]
