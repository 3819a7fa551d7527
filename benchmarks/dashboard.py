"""Measures the dashboard in headless Chromium at a million samples: drag, map, first paint.

A job is written into a service of its own as a worker writes it. Within the page, one pointer event
is sent in each frame, and the time from frame to frame is what is measured: drawing, state and
everything else that keeps the next frame from coming.
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from made_jobs import add_sets, finish_job, make_pool, start_job
from playwright.sync_api import Page, sync_playwright
from running_service import running_service

from curation.identifiers import JobId

RESULTS = Path(__file__).parent / "results" / "dashboard.json"
CLASS_NAMES = [f"class {index}" for index in range(10)]
FRAMES = 120
LIMITS = {"histogram_drag": 33.0, "map_pan": 50.0, "map_brush": 50.0, "first_paint": 2000.0}

# Sends one event a frame along a line, and returns the time of each frame in milliseconds.
DRIVE = """
([selector, frames, vertical]) => new Promise((resolve) => {
  const canvas = document.querySelector(selector);
  const box = canvas.getBoundingClientRect();
  const times = [];
  let last = null;
  let frame = 0;
  const step = (now) => {
    if (last !== null) times.push(now - last);
    last = now;
    if (frame++ >= frames) return resolve(times);
    const share = 0.5 + 0.35 * Math.sin((2 * Math.PI * frame) / frames);
    canvas.dispatchEvent(new PointerEvent("pointermove", {
      bubbles: true, pointerId: 1, buttons: 1,
      clientX: box.left + share * box.width,
      clientY: box.top + (vertical ? share : 0.5) * box.height,
    }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""
# Notes when there is a histogram to look at.
WATCH = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('[role="slider"]')) return;
  observer.disconnect();
  const note = () => { window.firstPaint = performance.now(); };
  requestAnimationFrame(() => requestAnimationFrame(note));
}).observe(document, { childList: true, subtree: true });
"""


def main() -> None:
    """Measure, write benchmarks/results/dashboard.json and print it as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    options = parser.parse_args()
    shares = [1 / len(CLASS_NAMES)] * len(CLASS_NAMES)
    pool = make_pool(CLASS_NAMES, shares, options.samples)
    with running_service() as service:
        claim = start_job(service, add_sets(service, pool))
        finish_job(service, claim, pool)
        measured = _measure(service.server, service.key, claim.job_id)
    record = {
        "samples": options.samples,
        "cpus": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        **measured,
        "limits_ms": LIMITS,
    }
    text = json.dumps(record)
    RESULTS.write_text(f"{text}\n", encoding="utf-8")
    print(text)


def _measure(server: str, key: str, job_id: JobId) -> dict[str, Any]:  # JSON values.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(server)
        page.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Jobs", level=1).wait_for()
        page.add_init_script(WATCH)
        page.goto(f"{server}/jobs/{job_id}")
        page.get_by_role("application").wait_for()
        first_paint = page.evaluate("window.firstPaint")
        page.wait_for_timeout(3000)
        frames = {
            "histogram_drag": _drag(page, '[role="slider"]', is_vertical=False),
            "map_pan": _drag(page, '[role="application"]', is_vertical=True),
        }
        page.get_by_text("Select", exact=True).click()
        frames["map_brush"] = _drag(page, '[role="application"]', is_vertical=True)
        browser.close()
    measured = {name: _summary(times) for name, times in frames.items()}
    return {"chromium_ms": measured, "first_paint_ms": round(first_paint)}


def _drag(page: Page, selector: str, *, is_vertical: bool) -> list[float]:
    target = page.locator(selector)
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    times: list[float] = page.evaluate(DRIVE, [selector, FRAMES, is_vertical])
    page.mouse.up()
    return times


def _summary(times: list[float]) -> dict[str, float]:
    return {
        "p50": round(float(np.percentile(times, 50)), 1),
        "p95": round(float(np.percentile(times, 95)), 1),
        "max": round(float(np.max(times)), 1),
    }


if __name__ == "__main__":
    main()
