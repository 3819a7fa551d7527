"""In a real browser: an upload that broke off goes on from the page of its dataset."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from winnow import Client, DatasetRequest, Role
from winnow.data_folder import StackAddress

pytestmark = pytest.mark.slow

# The dashboard's own; a file of a little more than two of them is sent in three.
PART_BYTES = 8 * 1024 * 1024


def write_embeddings(path: Path, *, seed: int) -> Path:
    random = np.random.default_rng(seed)
    x = random.normal(size=(4400, 1000)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(len(x)) % 2)
    assert 2 * PART_BYTES < path.stat().st_size < 3 * PART_BYTES
    return path


def write_images(folder: Path) -> Path:
    """Fill a folder with images of noise, which no compression makes smaller."""
    random = np.random.default_rng(0)
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            pixels = random.integers(0, 256, (1000, 1000, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png", compress_level=0)
    return folder


@contextmanager
def sent_parts(page: Page) -> Iterator[list[int]]:
    """Gives the numbers of the parts that the page sends meanwhile."""
    numbers: list[int] = []

    def note(request: Request) -> None:
        found = re.search(r"/parts/(\d+)\?", request.url)
        if found and request.method == "PUT":
            numbers.append(int(found[1]))

    page.on("request", note)
    yield numbers
    page.remove_listener("request", note)


def break_off(page: Page, address: StackAddress, label: str, path: Path) -> None:
    """Upload until two parts have arrived, and reload the page."""
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/datasets")
    # The service never answers to the third part.
    page.route("**/parts/3?*", lambda _: None)
    page.get_by_label(label).set_input_files(path)
    name = path.name.partition(".")[0]
    link = page.get_by_role("table").get_by_role("link", name=name, exact=True).first
    link.wait_for()
    with Client(address.server, address.api_key) as client:
        dataset = next(item for item in client.list_datasets() if item.name == name)
        for _ in range(600):
            if len(list(client.list_parts(dataset.id))) == 2:
                break
            page.wait_for_timeout(100)
    page.reload()
    # Not before: what the route holds back would be let go.
    page.unroute_all()


def go_on(page: Page, name: str) -> None:
    """Follow the link to the page where the only broken upload goes on."""
    page.get_by_role("link", name="Go on with its upload").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_file_goes_on_after_a_reload_and_another_is_refused(
    page: Page, address: StackAddress, tmp_path: Path
) -> None:
    pool = write_embeddings(tmp_path / "broken pool.npz", seed=1)
    other = write_embeddings(tmp_path / "another.npz", seed=2)
    break_off(page, address, "File of the synthetic set", pool)
    go_on(page, "broken pool")
    expect(page.get_by_text("16.8 MB of it are here already")).to_be_visible()

    with sent_parts(page) as numbers:
        page.get_by_label("File of this dataset").set_input_files(other)
        expect(page.get_by_role("alert")).to_contain_text("This is not the file")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    assert numbers == []

    with sent_parts(page) as numbers:
        page.get_by_label("File of this dataset").set_input_files(pool)
        expect(page.get_by_label("State: ready")).to_be_visible()
    assert numbers == [3]
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("4,400", exact=True)).to_be_visible()


def test_folder_goes_on_too(page: Page, address: StackAddress, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "broken folder")
    break_off(page, address, "Folder of the reference set", folder)
    go_on(page, "broken folder")
    with sent_parts(page) as numbers:
        page.get_by_label("Folder of this dataset").set_input_files(folder)
        expect(page.get_by_label("State: ready")).to_be_visible()
    assert numbers == [3]


def test_upload_goes_on_while_another_view_is_looked_at(page: Page, tmp_path: Path) -> None:
    table = tmp_path / "on the road.csv"
    table.write_text("size,label\n1,small\n2,large\n", encoding="utf-8")
    page.goto("/datasets")
    page.route("**/parts/1?*", lambda _: None)
    page.get_by_label("File of the synthetic set").set_input_files(table)
    page.get_by_role("table").get_by_role("link", name="on the road").click()
    expect(page.get_by_role("heading", name="Its file is on its way")).to_be_visible()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Datasets", exact=True).click()
    expect(page.get_by_role("group", name="Upload of on the road")).to_contain_text("Sending")
    expect(page.get_by_role("table").get_by_role("link", name="on the road")).to_be_visible()
    expect(page.get_by_role("link", name="Go on with its upload")).to_have_count(0)

    page.get_by_role("table").get_by_role("link", name="on the road").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="Its file has not arrived")).to_be_visible()
    expect(page.get_by_text("Nothing of it is here yet")).to_be_visible()
    page.unroute_all()
    page.get_by_label("File of this dataset").set_input_files(table)
    expect(page.get_by_label("State: ready")).to_be_visible()


def test_upload_that_a_program_began_goes_on_in_parts_of_its_length(
    page: Page, address: StackAddress, tmp_path: Path
) -> None:
    pool = write_embeddings(tmp_path / "begun elsewhere.npz", seed=3)
    part = pool.read_bytes()[: 5 * 1024 * 1024]
    with Client(address.server, address.api_key) as client:
        request = DatasetRequest(name="begun elsewhere", role=Role.SYNTHETIC)
        dataset = client.create_dataset(request)
    answer = httpx2.put(
        f"{address.server}/v1/datasets/{dataset.id}/parts/1",
        params={"sha256": hashlib.sha256(part).hexdigest()},
        content=part,
        headers={"Authorization": f"Bearer {address.api_key}"},
    )
    assert answer.status_code == 200

    page.goto(f"/datasets/{dataset.id}")
    expect(page.get_by_text("5.2 MB of it are here already")).to_be_visible()
    with sent_parts(page) as numbers:
        page.get_by_label("File of this dataset").set_input_files(pool)
        expect(page.get_by_label("State: ready")).to_be_visible()
    assert numbers == [2, 3, 4]
