"""Datasets become arrays with labels matched by class name, and misfits are told by name."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_jobs import CLASS_NAMES, JobPlace, Samples, add_dataset, make_samples
from PIL import Image
from sqlalchemy import text

from curation.identifiers import DatasetId, JobId, new_id
from curation.jobs import Claim
from curation.models import Role
from worker.dataset_loader import (
    DatasetMissingError,
    LoadedSamples,
    load_samples,
    release_mapped,
)
from worker.decoding_process import DecodingBounds
from worker.sample_arrays import InvalidDataError, decode_image


def claim_of(
    place: JobPlace, synthetic: DatasetId, reference: DatasetId, test: DatasetId | None = None
) -> Claim:
    return Claim(
        job_id=JobId(new_id()),
        workspace_id=place.workspace,
        attempt=1,
        fencing_token=1,
        synthetic_id=synthetic,
        reference_id=reference,
        test_id=test,
        method="mts",
        config={},
        seed=0,
        max_runtime_seconds=60,
    )


def load(place: JobPlace, claim: Claim, scratch: Path, **options: Any) -> LoadedSamples:
    bounds = {
        "memory_map_bytes": 1 << 30,
        "max_pixels": 10_000,
        "max_memory_bytes": 2 << 30,
        "max_seconds": 60,
        "max_file_bytes": 1 << 20,
        "keep_going": lambda: True,
        **options,
    }
    return load_samples(
        place.engine, place.store, claim, bounds=DecodingBounds(scratch=scratch, **bounds)
    )


def test_samples_arrive_in_order_with_their_names(job_place: JobPlace, tmp_path: Path) -> None:
    # More than one row group, so that the seams are crossed.
    pool, reference = make_samples(2500, seed=1), make_samples(10, seed=2)
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, pool),
        add_dataset(job_place, Role.REFERENCE, reference),
    )

    loaded = load(job_place, claim, tmp_path)

    np.testing.assert_array_equal(loaded.data.pool_inputs, pool.embeddings)
    np.testing.assert_array_equal(loaded.data.reference_inputs, reference.embeddings)
    assert loaded.pool_rows.sample_ids[2049].as_py() == "synthetic/2049"
    assert [CLASS_NAMES[label] for label in loaded.data.pool_labels] == list(pool.labels)
    assert not loaded.data.pool_is_real.any()
    assert loaded.data.test_inputs is None


def test_classes_are_matched_by_name_and_not_by_number(job_place: JobPlace, tmp_path: Path) -> None:
    reference = make_samples(10, seed=2)
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1)),
        add_dataset(job_place, Role.REFERENCE, reference, class_names=CLASS_NAMES[::-1]),
    )

    loaded = load(job_place, claim, tmp_path)

    names = [CLASS_NAMES[label] for label in loaded.data.reference_labels]
    assert names == list(reference.labels)


def test_inputs_above_the_limit_are_mapped_from_the_scratch_folder(
    job_place: JobPlace, tmp_path: Path
) -> None:
    pool = make_samples(100, seed=1)
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, pool),
        add_dataset(job_place, Role.REFERENCE, make_samples(10, seed=2)),
    )

    loaded = load(job_place, claim, tmp_path, memory_map_bytes=pool.embeddings.nbytes - 1)

    assert len(loaded.mappings) == 1
    release_mapped(loaded.mappings)
    np.testing.assert_array_equal(loaded.data.pool_inputs, pool.embeddings)


def test_class_that_the_pool_lacks_is_named(job_place: JobPlace, tmp_path: Path) -> None:
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1)),
        add_dataset(
            job_place, Role.REFERENCE, make_samples(10, seed=2), class_names=(*CLASS_NAMES, "wasp")
        ),
    )

    with pytest.raises(InvalidDataError, match="wasp"):
        load(job_place, claim, tmp_path)


def test_reference_without_a_class_is_refused_by_name(job_place: JobPlace, tmp_path: Path) -> None:
    samples = make_samples(10, seed=2)
    only_ants = Samples(samples.embeddings[::2], samples.labels[::2])
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1)),
        add_dataset(job_place, Role.REFERENCE, only_ants),
    )

    with pytest.raises(InvalidDataError, match="bee"):
        load(job_place, claim, tmp_path)


def test_embeddings_of_another_length_are_refused(job_place: JobPlace, tmp_path: Path) -> None:
    reference = make_samples(10, seed=2)
    claim = claim_of(
        job_place,
        add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1)),
        add_dataset(
            job_place, Role.REFERENCE, Samples(reference.embeddings[:, :3], reference.labels)
        ),
    )

    with pytest.raises(InvalidDataError, match=r"\[6\].*\[3\]"):
        load(job_place, claim, tmp_path)


def test_count_that_differs_from_the_record_is_refused(job_place: JobPlace, tmp_path: Path) -> None:
    synthetic = add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1))
    reference = add_dataset(job_place, Role.REFERENCE, make_samples(10, seed=2))
    with job_place.engine.begin() as connection:
        connection.execute(
            text("UPDATE datasets SET sample_count = 21 WHERE id = :id"), {"id": synthetic}
        )

    with pytest.raises(InvalidDataError, match="fewer samples"):
        load(job_place, claim_of(job_place, synthetic, reference), tmp_path)


def test_dataset_of_another_workspace_is_not_there(job_place: JobPlace, tmp_path: Path) -> None:
    synthetic = add_dataset(job_place, Role.SYNTHETIC, make_samples(20, seed=1))

    with pytest.raises(DatasetMissingError, match="reference"):
        load(job_place, claim_of(job_place, synthetic, DatasetId(new_id())), tmp_path)


def png(mode: str, size: tuple[int, int], colour: Any) -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, colour).save(content, format="PNG")
    return content.getvalue()


def test_image_becomes_channels_first_bytes() -> None:
    image = decode_image(png("RGB", (4, 2), (10, 20, 30)), (3, 2, 4), max_pixels=10_000)

    assert image.shape == (3, 2, 4)
    assert image.dtype == np.uint8
    assert image[:, 1, 3].tolist() == [10, 20, 30]


def test_image_is_resized_to_the_size_of_its_dataset() -> None:
    assert decode_image(png("L", (40, 30), 77), (1, 28, 28), max_pixels=10_000).tolist() == [
        [[77] * 28] * 28
    ]


def test_sixteen_bits_of_grey_become_eight_and_not_white() -> None:
    content = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)).save(content, format="PNG")

    assert np.unique(decode_image(content.getvalue(), (1, 8, 8), max_pixels=10_000)).tolist() == [
        0x80
    ]


def test_truncated_image_is_an_error_of_the_data() -> None:
    with pytest.raises(InvalidDataError):
        decode_image(png("L", (40, 30), 77)[:60], (1, 30, 40), max_pixels=10_000)
