"""In a real browser: what the report tells beside its table, and the training lines heed it."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from shared_service import SharedService
from steps import AXE, run_script, serious_faults, wait_for_results

from winnow import Client, DatasetRequest, JobRequest, Role
from winnow.data_folder import StackAddress
from winnow.finished_job import FinishedJob

pytestmark = pytest.mark.slow

POOL, REFERENCE, TEST = 120, 16, 80
QUICK = {"steps": 30, "evaluation_seeds": 2, "gsnr_every": 0, "baselines": []}
UPWEIGHTED = "No selection, reference upweighted"


def write_embeddings(path: Path, count: int, *, seed: int, wrong_share: float = 0.0) -> None:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    x = random.normal(size=(count, 6)) + np.where(labels, 2.0, -2.0)[:, None]
    x[random.random(count) < wrong_share] *= -1.0
    np.savez(path, x=x.astype(np.float32), y=labels)


@pytest.fixture(scope="module")
def address(service: SharedService) -> StackAddress:
    """A workspace for all tests here: none of them changes what is in it."""
    return service.new_workspace()


@pytest.fixture(scope="module")
def job(address: StackAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedJob]:
    """A job on a pool that contradicts its references, which have to count more therefore.

    Its two classes have all but changed names.

    Beside it the workspace holds one without a table, to compare it with.
    """
    folder = tmp_path_factory.mktemp("embeddings")
    with Client(address.server, address.api_key) as client:
        ids = {}
        for seed, (role, count) in enumerate(
            {Role.SYNTHETIC: POOL, Role.REFERENCE: REFERENCE, Role.TEST: TEST}.items()
        ):
            path = folder / f"{role}.npz"
            wrong_share = 0.85 if role is Role.SYNTHETIC else 0.0
            write_embeddings(path, count, seed=seed, wrong_share=wrong_share)
            dataset = client.upload_dataset(path, DatasetRequest(name=str(role), role=role))
            ids[role] = client.wait_for_dataset(dataset.id).id
        request = JobRequest(
            synthetic_id=ids[Role.SYNTHETIC],
            reference_id=ids[Role.REFERENCE],
            test_id=ids[Role.TEST],
            config=dict(QUICK),
        )
        ended = client.wait_for_job(client.create_job(request).id)
        untold = dataclasses.replace(request, config={**QUICK, "evaluate": False})
        client.wait_for_job(client.create_job(untold).id)
        yield client.finished_job(ended.id)


@pytest.fixture(scope="module")
def weight(job: FinishedJob) -> str:
    """How often a reference sample counts beside the job's weights."""
    weight: float = job.report()["reference_weight"]
    assert weight > 1
    return f"{weight:g}"


def open_job(page: Page, job: FinishedJob) -> Locator:
    """Open the job's page, and return what it says before and after."""
    page.goto(f"/jobs/{job.id}")
    wait_for_results(page)
    panel = page.get_by_role("region", name="Before and after", exact=True)
    expect(panel.get_by_role("row").filter(has_text="Winnow weighted")).to_be_visible()
    return panel


def open_with_report(page: Page, job: FinishedJob, **changes: object) -> Locator:
    """Open the job's page with a report that differs from its own."""
    report: dict[str, Any] = job.report() | changes  # Any: JSON values.
    answer = json.dumps(report)

    def fulfil(route: Route) -> None:
        route.fulfill(body=answer, content_type="application/json")

    page.route(f"**/v1/jobs/{job.id}/report", fulfil)
    return open_job(page, job)


def test_table_says_which_rows_count_the_reference_set_more(
    page: Page, job: FinishedJob, weight: str
) -> None:
    panel = open_job(page, job)
    counted = {
        row["method"]: row["reference_weight"]
        for row in job.report()["rows"]
        if row["reference_weight"] != 1
    }
    rows = panel.get_by_role("row").filter(has_text="reference ×")
    expect(rows).to_have_count(len(counted))
    expect(rows.filter(has_text="Winnow weighted")).to_contain_text(f"reference × {weight}")
    expect(rows.filter(has_text=UPWEIGHTED)).to_contain_text(
        f"reference × {counted['no_selection_upweighted']:g}"
    )
    expect(panel).to_contain_text(
        "A reference sample counts as much as the mean sample of the pool, or as many times as "
        "much as stands beside the row."
    )


def test_lines_join_the_reference_set_at_its_weight(
    page: Page, job: FinishedJob, weight: str, tmp_path: Path
) -> None:
    open_job(page, job)
    snippet = page.get_by_test_id("snippet")
    assert "reference" not in snippet.inner_text()
    page.get_by_role("radiogroup", name="What the lines do").get_by_text("weights").click()
    expect(snippet).to_contain_text("len(reference)")
    expect(page.get_by_text(f"each of its samples counts {weight} times")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="manifest.parquet").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    labels = pa.table({"label": [index % 2 for index in range(REFERENCE)]})
    pq.write_table(labels, tmp_path / "reference.parquet")

    passes = 50
    script = "\n".join(
        [
            "import pyarrow.parquet as pq",
            "reference = pq.read_table('reference.parquet').to_pylist()",
            snippet.inner_text(),
            f"drawn = [i for _ in range({passes}) for i in sampler]",
            "assert all(ds[i]['label'] in (0, 1) for i in range(len(ds)))",
            f"print(len(drawn), sum(i >= {POOL} for i in drawn) / len(drawn))",
        ]
    )
    drawn, share = run_script(script, tmp_path).split()
    assert int(drawn) == passes * (POOL + REFERENCE)
    counted = float(weight) * REFERENCE
    # Of 6800 draws the share scatters by less than 0.0061.
    assert float(share) == pytest.approx(counted / (counted + POOL), abs=0.031)


def test_lines_without_a_reference_weight_need_no_reference_set(
    page: Page, job: FinishedJob
) -> None:
    open_with_report(page, job, reference_weight=1.0)
    page.get_by_role("radiogroup", name="What the lines do").get_by_text("weights").click()
    snippet = page.get_by_test_id("snippet")
    expect(snippet).to_contain_text('WeightedRandomSampler(ds["weight"], len(ds))')
    assert "reference" not in snippet.inner_text()


def test_verdict_for_the_reference_counted_more_is_no_selection(
    page: Page, job: FinishedJob
) -> None:
    rows = {row["method"]: row for row in job.report()["rows"]}
    counted = rows["no_selection_upweighted"]["reference_weight"]
    panel = open_with_report(page, job, recommendation="no_selection_upweighted")
    expect(panel).to_contain_text(
        f"Training on everything with each reference sample counted {counted:g} times reaches "
    )
    expect(panel).to_contain_text("points); no selection measurably beat that.")
    expect(panel).not_to_contain_text("did not beat")
    recommended = panel.get_by_role("row").filter(has_text="recommended")
    expect(recommended).to_contain_text(UPWEIGHTED)


def test_verdict_tells_what_the_reference_set_brings_without_a_selection(
    page: Page, job: FinishedJob
) -> None:
    report = job.report()
    rows = [
        row | {"reference_weight": 1.0} if row["method"] == "winnow_selected" else row
        for row in report["rows"]
    ]
    panel = open_with_report(page, job, rows=rows, recommendation="winnow_weighted")
    told = re.compile(r"Counting the reference set more brings \d+\.\d % without a selection\.")
    expect(panel).to_contain_text(told)
    page.unroute_all()
    # A row in which the reference set counts as in the first owes it nothing.
    panel = open_with_report(page, job, rows=rows, recommendation="winnow_selected")
    expect(panel).to_contain_text("Winnow selected reaches")
    expect(panel).not_to_contain_text("without a selection")


def test_labels_of_two_classes_that_changed_names_are_told(page: Page, job: FinishedJob) -> None:
    told = "Most labels of the pool seem to name the other class"
    support = job.report()["label_support"]
    assert support["labels_are_turned"]
    expect(open_job(page, job)).to_contain_text(told)
    kept = open_with_report(page, job, label_support=support | {"labels_are_turned": False})
    expect(kept).not_to_contain_text(told)


def test_weights_of_a_large_pool_are_those_of_the_whole(page: Page, job: FinishedJob) -> None:
    def scaled(row: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values.
        return row | {"reference_weight": row["reference_weight"] * 3.3333}

    rows = [scaled(row) for row in job.report()["rows"]]
    panel = open_with_report(page, job, rows=rows)
    usual = panel.get_by_role("row").filter(has_text="Reference only")
    expect(usual).not_to_contain_text("×")
    expect(panel).to_contain_text("counts 3.33 times as much as the mean sample of the pool, or as")


def test_comparison_says_it_too(page: Page, job: FinishedJob, weight: str) -> None:
    page.goto(f"/compare?a={job.id}")
    rows = page.get_by_role("region", name="Accuracy of both jobs").get_by_role("row")
    expect(rows.filter(has_text="Winnow weighted")).to_contain_text(f"reference × {weight}")
    expect(rows.filter(has_text="Winnow selected")).not_to_contain_text("×")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed; run: make web-check")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_table_and_lines_are_readable_on_a_narrow_screen(
    page: Page, job: FinishedJob, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 400, "height": 900})
    panel = open_job(page, job)
    page.get_by_role("radiogroup", name="What the lines do").get_by_text("weights").click()
    expect(page.get_by_test_id("snippet")).to_contain_text("len(reference)")
    panel.scroll_into_view_if_needed()
    page.wait_for_timeout(800)
    assert serious_faults(page) == []
    assert not page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth + 1"
    )
