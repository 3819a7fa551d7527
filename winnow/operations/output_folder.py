"""Writes a job's results into a folder that people and ``datasets.load_dataset`` can read."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from winnow.errors import InputError
from winnow.operations.results import (
    download_manifest,
    download_weights,
    get_report,
    get_traces,
)
from winnow.report_table import advice, markdown_table, measured_on, table_rows
from winnow.resources import Job, JsonObject
from winnow.transport import Transport

MANIFEST, KEPT, WEIGHTS = "manifest.parquet", "kept.parquet", "weights.parquet"
TRACES, REPORT, README = "traces.json", "report.json", "README.md"
FILES = (MANIFEST, KEPT, WEIGHTS, TRACES, REPORT, README)

_README = """\
---
configs:
- config_name: weighted
  default: true
  data_files: {manifest}
- config_name: kept
  data_files: {kept}
---

# A curated dataset

Winnow weighed {sample_count} synthetic samples {how}: job `{job_id}`, method `{method}`, \
seed {seed}.

- `{manifest}`: every sample. `score` in [0, 1] is the value of record, `weight` is the score \
divided by its mean and goes into a loss or a sampler, `keep` is the suggested cut, and `rank` \
counts from 0, the best.
- `{kept}`: the samples of the suggested cut alone.
- `{weights}`: score, weight and rank by position in the upload.
- `{report}`, `{traces}`: accuracy before and after, and what training recorded.

```python
from datasets import load_dataset

weighted = load_dataset({folder}, "weighted", split="train")
kept = load_dataset({folder}, "kept", split="train")
```
{findings}"""


@dataclass(frozen=True)
class Outcome:
    """A finished job and where its results lie."""

    job: Job
    folder: Path
    files: list[Path]
    report: JsonObject


def make_output_folder(out: Path) -> None:
    """Makes the folder, before any work is spent on what goes there.

    Raises:
        InputError: it cannot be made, or is a file.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made a folder: {error.strerror}.") from error


async def write_results(
    transport: Transport,
    job: Job,
    out: Path,
    *,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Downloads manifest, kept rows, weights, traces and report, and writes a README beside them.

    Each file appears only when it is whole; files of an earlier run are replaced.

    Args:
        transport: The way to the service.
        job: A job that succeeded.
        out: The folder; made where it is missing.
        on_progress: Called with the fraction that is done.
    """
    make_output_folder(out)
    report = await get_report(transport, job.id)
    await download_manifest(transport, job.id, out / MANIFEST)
    on_progress(0.4)
    await download_manifest(transport, job.id, out / KEPT, is_kept_only=True)
    on_progress(0.6)
    await download_weights(transport, job.id, out / WEIGHTS)
    on_progress(0.8)
    _write_json(out / TRACES, await get_traces(transport, job.id))
    _write_json(out / REPORT, report)
    _write_text(out / README, _readme(job, out, report))
    on_progress(1.0)
    return Outcome(job, out, [out / name for name in FILES], report)


def _readme(job: Job, out: Path, report: JsonObject) -> str:
    return _README.format(
        manifest=MANIFEST,
        kept=KEPT,
        weights=WEIGHTS,
        report=REPORT,
        traces=TRACES,
        sample_count=job.sample_count,
        how=_how(job),
        job_id=job.id,
        method=job.method,
        seed=job.seed,
        folder=json.dumps(str(out)),
        findings=_findings(report),
    )


def _findings(report: JsonObject) -> str:
    rows = table_rows(report)
    measured = [markdown_table(rows), measured_on(report)] if rows else []
    return "".join(f"\n{part}\n" for part in [*measured, *advice(report)])


def _how(job: Job) -> str:
    if job.selector_id is not None:
        return f"by what an earlier job learned, selector `{job.selector_id}`, without training"
    return "against a real reference set"


def how_to_open(data: Path | None, server: str) -> str:
    """Returns the line that says how to reach the service that holds the job."""
    if data is None:
        return f"The service is at {server}"
    return f"Open the service with: winnow up --data {shlex.quote(str(data))}"


def _write_json(path: Path, value: JsonObject) -> None:
    _write_text(path, json.dumps(value, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
