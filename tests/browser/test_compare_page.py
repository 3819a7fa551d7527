"""In a real browser: jobs of the same data are compared first, and of other data with a word."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from shared_service import SharedService

from winnow import Client, DatasetRequest, Job, JobRequest, Role
from winnow.data_folder import StackAddress
from winnow.resources import DatasetId

pytestmark = pytest.mark.slow

QUICK = {"steps": 20, "evaluate": False, "gsnr_every": 0}


class Jobs(NamedTuple):
    """Two jobs of the same data, one of the same pool, and one of other data, which is newest."""

    first: Job
    again: Job
    other_reference: Job
    other_pool: Job


class Maker:
    """Makes small datasets and jobs through the service."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def dataset(self, name: str, role: Role, *, count: int) -> DatasetId:
        path = self._folder / "embeddings.npz"
        random = np.random.default_rng(count)
        labels = np.arange(count) % 2
        x = random.normal(size=(count, 6)) + np.where(labels, 2.0, -2.0)[:, None]
        np.savez(path, x=x.astype(np.float32), y=labels)
        uploaded = self._client.upload_dataset(path, DatasetRequest(name=name, role=role))
        return self._client.wait_for_dataset(uploaded.id).id

    def job(self, pool: DatasetId, reference: DatasetId, *, seed: int) -> Job:
        request = JobRequest(
            synthetic_id=pool, reference_id=reference, config=dict(QUICK), seed=seed
        )
        return self._client.wait_for_job(self._client.create_job(request).id)


@pytest.fixture(scope="module")
def address(service: SharedService) -> StackAddress:
    """A workspace for all tests here: none of them changes what is in it."""
    return service.new_workspace()


@pytest.fixture(scope="module")
def jobs(address: StackAddress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with Client(address.server, address.api_key) as client:
        make = Maker(client, tmp_path_factory.mktemp("compare"))
        pool = make.dataset("left pool", Role.SYNTHETIC, count=60)
        trusted = make.dataset("trusted", Role.REFERENCE, count=12)
        mistrusted = make.dataset("mistrusted", Role.REFERENCE, count=14)
        other = make.dataset("right pool", Role.SYNTHETIC, count=80)
        yield Jobs(
            make.job(pool, trusted, seed=1),
            make.job(pool, trusted, seed=2),
            make.job(pool, mistrusted, seed=3),
            make.job(other, mistrusted, seed=4),
        )


def expect_chosen(page: Page, *, first: str, second: str) -> None:
    """Check which jobs are chosen; both are named as `pool, method, seed`."""
    for label, wanted in (("First job", first), ("Second job", second)):
        box = page.get_by_role("combobox", name=label)
        expect(box).to_have_value(re.compile(f"^{wanted}, "))


def test_newest_pair_of_the_same_data_is_offered(page: Page, jobs: Jobs) -> None:
    assert jobs
    page.goto("/compare")
    expect_chosen(page, first="left pool, winnow, seed 2", second="left pool, winnow, seed 1")
    expect(page.get_by_text("are judged alike")).to_be_visible()
    expect(page.get_by_text(re.compile(r"the first keeps \d+, the second \d+"))).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="These jobs")).to_have_count(0)


def test_jobs_are_grouped_by_their_data_and_likeness_comes_first(page: Page, jobs: Jobs) -> None:
    page.goto(f"/compare?a={jobs.first.id}")
    expect_chosen(page, first="left pool, winnow, seed 1", second="left pool, winnow, seed 2")
    page.get_by_role("combobox", name="Second job").click()
    groups = page.locator(".mantine-Select-groupLabel:visible").all_inner_texts()
    assert groups[0] == "Same data as the first job: left pool against trusted"
    assert {"left pool against mistrusted", "right pool against mistrusted"} <= set(groups[1:])


def test_a_job_alone_on_its_data_is_compared_on_its_pool_or_with_a_word(
    page: Page, jobs: Jobs
) -> None:
    page.goto(f"/compare?a={jobs.other_reference.id}")
    expect_chosen(page, first="left pool, winnow, seed 3", second="left pool, winnow, seed 2")
    notice = page.get_by_role("status").filter(has_text="These jobs")
    expect(notice).to_contain_text("trust different reference sets")
    expect(notice).to_contain_text("against mistrusted, the second against trusted")

    page.goto(f"/compare?a={jobs.other_pool.id}&b={jobs.first.id}")
    expect(notice).to_contain_text("weigh different data")
    expect(notice).to_contain_text("right pool against mistrusted")
    expect(page.get_by_text("are judged alike")).to_have_count(0)
