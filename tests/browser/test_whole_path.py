"""In a real browser: upload, watch, threshold, gallery, why, cut and download."""

import csv
import re
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect
from steps import AXE, counts, run_script, serious_faults, start_job, upload, wait_for_results

MARKUP = "<img src=x onerror='document.title=\"struck\"'><script>document.title='struck'</script>"
DIGITS = Path(__file__).parents[2] / "examples" / "digits"

pytestmark = pytest.mark.slow


def test_digits_from_upload_to_manifest(page: Page, tmp_path: Path) -> None:
    for role in ("synthetic", "reference", "test"):
        upload(page, role, DIGITS / f"{role}.zip")
    start_job(page, Encoder="pixels_pca", Steps="40")
    # Live: the timeline fills while the page is open.
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("A worker took it")
    wait_for_results(page)

    slider = page.get_by_role("slider")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
    page.mouse.up()
    assert float(slider.get_attribute("aria-valuenow") or "nan") == pytest.approx(0.5, abs=0.01)
    kept, dropped = counts(page)
    assert kept + dropped == 3000

    tiles = page.get_by_role("button", pressed=False).filter(has=page.locator("img"))
    first = tiles.first
    first.click()
    why = page.get_by_role("region", name="Why this score?")
    expect(why.get_by_text("Nearest in the pool")).to_be_visible()
    expect(why.locator("img").first).to_have_js_property("complete", value=True)
    assert why.locator("img").first.evaluate("image => image.naturalWidth") > 0

    expect(why).to_contain_text("Likeness to the")

    # The lines of the page, run where a script of one's own would be, make the cut that it shows.
    with page.expect_download() as download:
        page.get_by_role("link", name="manifest.imagefolder.zip").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    script = page.get_by_test_id("snippet").inner_text()
    script += "\nprint(len(ds), ds[0]['image'].size, ds.features['label'].num_classes)"
    assert run_script(script, tmp_path).strip() == f"{kept} (28, 28) 10"

    page.get_by_label("Keep this cut under a name").fill("halfway")
    page.get_by_role("button", name="Save cut").click()
    saved = page.get_by_role("table", name="Saved cuts")
    expect(saved).to_contain_text(f"{kept:,} kept")
    with page.expect_download() as download:
        saved.get_by_label("Download halfway as parquet").click()
    path = tmp_path / "manifest.parquet"
    download.value.save_as(path)
    assert sum(pq.read_table(path).column("keep").to_pylist()) == kept

    # The address carries the cut: another visit shows the same.
    expect(page).to_have_url(re.compile("cut=.*sample="))
    page.reload()
    wait_for_results(page)
    assert counts(page) == (kept, dropped)


def write_texts(folder: Path) -> tuple[Path, Path]:
    """Return a pool of which a quarter is labelled wrongly, and a reference."""
    words = {"good": "bright lovely warm kind", "bad": "broken awful cold rude"}
    pool, reference = folder / "reviews.csv", folder / "trusted.csv"
    for path, count, is_pool in ((pool, 80, True), (reference, 16, False)):
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for index in range(count):
                label = ("good", "bad")[index % 2]
                told = ("bad", "good")[index % 2] if is_pool and index % 8 < 2 else label
                rows.writerow([f"a {words[label].split()[index % 4]} place, number {index}", told])
    return pool, reference


def test_texts_by_keyboard_alone(page: Page, tmp_path: Path) -> None:
    pool, reference = write_texts(tmp_path)
    numbers = tmp_path / "of another kind.csv"
    numbers.write_text("size,label\n1,small\n2,large\n", encoding="utf-8")
    upload(page, "synthetic", pool)
    upload(page, "reference", reference)
    upload(page, "test", numbers)
    page.goto("/jobs/new")
    page.get_by_label("Steps", exact=False).first.wait_for()
    # A test set of another kind is not chosen beside them.
    expect(page.get_by_role("combobox", name="Test set")).to_have_value("")
    page.get_by_label("Encoder", exact=False).first.fill("tfidf_svd")
    page.get_by_label("Steps", exact=False).first.fill("30")
    page.get_by_role("button", name="Estimate").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="once it runs")).to_contain_text("of memory")
    # The report would take most of the time.
    page.get_by_role("switch", name="Evaluate").press("Space")
    page.get_by_role("button", name="Start job").focus()
    page.keyboard.press("Enter")
    wait_for_results(page)

    before = counts(page)
    tab_to(page, '[role="slider"]')
    page.keyboard.press("Home")
    assert counts(page) == (sum(before), 0)
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "0.055"
    tab_to(page, "button.tile")
    page.keyboard.press("Enter")
    why = page.get_by_role("region", name="Why this score?")
    expect(why).to_contain_text("place, number")
    tab_to(page, '[role="application"]')
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    tab_to(page, "form input")
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name="Saved cuts")).to_contain_text("by hand")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on what `selector` names."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab never reaches {selector}")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; run: make web-check")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_keeps_anybody_out(page: Page, tmp_path: Path, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    make_a_job(page, tmp_path)
    job = urlsplit(page.url).path
    addresses = ["/jobs", "/datasets", "/jobs/new", "/compare"]
    faults = {}
    for path in [*addresses, job]:
        page.goto(path)
        page.get_by_role("heading", level=1).wait_for()
        if path == job:
            wait_for_results(page)
        page.wait_for_timeout(800)
        faults[path] = serious_faults(page)
        is_too_wide = page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
        )
        assert not is_too_wide, path
    found = [f"{path}: {fault}" for path, some in faults.items() for fault in some]
    assert found == []


def make_a_job(page: Page, folder: Path) -> None:
    pool, reference = write_texts(folder)
    upload(page, "synthetic", pool)
    upload(page, "reference", reference)
    start_job(page, Encoder="tfidf_svd", Steps="30")
    wait_for_results(page)


def test_upload_that_cannot_be_used_says_why(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "lonely.csv"
    path.write_text("text,label\na,one\nb,one\n", encoding="utf-8")
    page.goto("/datasets")
    page.get_by_label("File of the synthetic set").set_input_files(path)
    row = page.get_by_role("row").filter(has_text="lonely").first
    expect(row.get_by_text("invalid")).to_be_visible()
    row.get_by_role("link").click()
    expect(page.get_by_role("alert")).to_contain_text("ONE_CLASS")


def test_markup_in_names_and_labels_is_shown_and_not_run(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "<u>marked<u>.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label", "id"])
        for index in range(8):
            rows.writerow([f"{index} {MARKUP}", (MARKUP, "plain")[index % 2], f"{MARKUP}{index}"])
    upload(page, "Synthetic", path)
    page.get_by_role("link", name="<u>marked<u>").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<u>marked<u>")
    expect(page.get_by_text(MARKUP, exact=True).first).to_be_visible()
    assert page.locator("u, img[src='x'], script:not([src])").count() == 0
    assert page.title() != "struck"


def test_wrong_key_is_told_and_nothing_is_kept_in_the_page(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").fill("wnw_no_such")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("INVALID_KEY")
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert "wnw_" not in stored
    assert "winnow_session" not in stored
