"""In a real browser: folders are dropped, and what stands in the way is told with its cure."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Dialog, Page, expect
from steps import upload

pytestmark = pytest.mark.slow

CLASSES = ("grün", "two words")


def write_folder(folder: Path, *, per_class: int, sides: tuple[int, ...] = (16,)) -> Path:
    """Fill a folder of images, one sub-folder a class."""
    for shade, class_name in enumerate(CLASSES):
        (folder / class_name).mkdir(parents=True)
        for index in range(per_class):
            side = sides[index % len(sides)]
            image = Image.new("RGB", (side, side), (200 * shade, 40 * (index % 6), 90))
            content = io.BytesIO()
            image.save(content, "PNG")
            (folder / class_name / f"bild {index}.png").write_bytes(content.getvalue())
    return folder


def drop(page: Page, zone: str, *paths: Path) -> None:
    """Drop files or folders as from a file manager, of which scripts can make no event."""
    box = page.get_by_role("group", name=zone).bounding_box()
    assert box is not None
    devices = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devices.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": box["x"] + 20,
                "y": box["y"] + 20,
                "data": {
                    "items": [],
                    "files": [str(path) for path in paths],
                    "dragOperationsMask": 1,
                },
            },
        )
    devices.detach()


def row_of(page: Page, name: str) -> str:
    """Return what the list says of a dataset once it has been checked."""
    link = page.get_by_role("link", name=name, exact=True)
    row = page.get_by_role("row").filter(has=link).first
    expect(row).to_contain_text(re.compile("ready|invalid"))
    return row.inner_text()


def test_two_folders_are_dropped_without_waiting(page: Page, tmp_path: Path) -> None:
    pool = write_folder(tmp_path / "pool größe", per_class=12)
    (pool / CLASSES[0] / "empty.png").touch()
    # Left behind by a file manager; it belongs to no class.
    (pool / ".DS_Store").write_bytes(b"x")
    reference = write_folder(tmp_path / "my reference", per_class=3)
    page.get_by_role("link", name="Datasets", exact=True).click()
    drop(page, "Synthetic set", pool, reference)
    expect(page.get_by_role("alert")).to_contain_text("one by one")

    drop(page, "Synthetic set", pool)
    drop(page, "Reference set", reference)
    assert "1 file left out" in row_of(page, "pool größe")
    row_of(page, "my reference")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("link", name="go on to the job").click()
    expect(page.get_by_role("combobox", name="Synthetic set")).to_have_value("pool größe (24)")
    expect(page.get_by_role("combobox", name="Reference set")).to_have_value("my reference (6)")

    # A newer pool that no reference set goes with is not chosen.
    lonely = tmp_path / "without partner.csv"
    lonely.write_text("size,label\n1,small\n2,large\n", encoding="utf-8")
    upload(page, "synthetic", lonely)
    page.get_by_role("table").get_by_role("link", name="without partner").click()
    expect(page.get_by_text("size (number)")).to_be_visible()
    page.goto("/jobs/new")
    expect(page.get_by_role("combobox", name="Synthetic set")).to_have_value("pool größe (24)")


def test_refused_upload_leads_to_the_option_that_mends_it(page: Page, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "of two sizes", per_class=4, sides=(16, 24))
    page.goto("/datasets")
    drop(page, "Test set", folder)
    assert "24 x 24" in row_of(page, "of two sizes")
    page.get_by_role("table").get_by_role("link", name="of two sizes").click()
    expect(page.get_by_role("alert")).to_contain_text("“Image size”")

    page.get_by_role("alert").get_by_role("link", name="under Datasets").click()
    page.get_by_role("button", name="Options for the next upload").click()
    page.get_by_label("Image size").fill("16")
    page.get_by_label("Name", exact=True).fill("of one size")
    drop(page, "Test set", folder)
    assert "ready" in row_of(page, "of one size").lower()


def test_page_is_not_left_by_mistake_during_an_upload(page: Page, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "on its way", per_class=2)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.goto("/datasets")
    # The service never answers, so that the upload lasts.
    page.route("**/parts?*", lambda _: None)
    page.get_by_label("Folder of the synthetic set").set_input_files(folder)
    upload = page.get_by_role("group", name="Upload of on its way")
    expect(upload).to_contain_text("Sending, 4 files")
    # A browser asks only on pages that somebody has touched.
    page.get_by_role("button", name="Options for the next upload").click()
    page.evaluate("setTimeout(() => location.reload())")
    page.wait_for_timeout(1000)
    assert asked == ["beforeunload"]

    upload.get_by_role("button", name="Stop").click()
    expect(upload).to_have_count(0)
    page.unroute_all()
    page.reload()
    page.get_by_role("table").get_by_role("link", name="on its way").click()
    expect(page.get_by_text("Its file has not arrived")).to_be_visible()


def test_texts_under_another_name_are_told_of_wherever_the_set_is_shown(
    page: Page, tmp_path: Path
) -> None:
    for role, count in (("synthetic", 60), ("reference", 12)):
        rows = [f"Room {n} was clean and quiet,{('good', 'bad')[n % 2]}" for n in range(count)]
        table = tmp_path / f"{role} reviews.csv"
        table.write_text("\n".join(["review,label", *rows]), encoding="utf-8")
        upload(page, role, table)
    told = "'review' looks like free text, but was taken as a category"
    assert told in row_of(page, "synthetic reviews")
    page.get_by_role("table").get_by_role("link", name="synthetic reviews").click()
    warning = page.get_by_role("alert", name="Is this what you meant?")
    expect(warning).to_contain_text(told)
    expect(warning).to_contain_text("rename it to 'text'")
    # Classes alternate in the file, and samples of both are shown all the same.
    samples = page.get_by_role("region", name="Some of its samples").get_by_role("listitem")
    expect(samples).to_have_count(24)
    assert {text.split()[-1] for text in samples.all_inner_texts()} == {"good", "bad"}

    # Both sets have the same fault, which is told once.
    page.goto("/jobs/new")
    expect(page.get_by_role("combobox", name="Synthetic set")).to_have_value(
        "synthetic reviews (60)"
    )
    expect(warning).to_have_count(1)
