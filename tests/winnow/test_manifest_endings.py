"""The endings by which the command line names a manifest's format."""

from pathlib import Path

import pytest

from curation.manifest_formats import MANIFEST_FORMATS, ManifestFormat
from winnow.errors import InputError
from winnow.manifest_endings import MANIFEST_ENDINGS, manifest_format, manifest_params


def test_every_format_of_the_service_has_an_ending() -> None:
    assert sorted(MANIFEST_ENDINGS.values()) == sorted(ManifestFormat)


@pytest.mark.parametrize("kind", ManifestFormat)
def test_name_that_the_service_gives_says_its_own_format(kind: ManifestFormat) -> None:
    assert manifest_format(Path(f"kept.{MANIFEST_FORMATS[kind].ending}")) == kind
    assert manifest_format(Path("a.b") / f"my.own.{MANIFEST_FORMATS[kind].ending}") == kind


def test_format_decides_what_is_kept_unless_it_is_said() -> None:
    assert manifest_params(Path("a.npy"), is_kept_only=None) == {"format": "npy"}
    said = manifest_params(Path("a.npy"), is_kept_only=False)
    assert said == {"format": "npy", "kept_only": "false"}


@pytest.mark.parametrize("name", ["out", "a.zip", "a.json", "parquet", "kept.tar"])
def test_other_endings_are_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(InputError, match=r"\.webdataset\.zip, \.fiftyone\.zip or croissant\.json"):
        manifest_params(Path(name), is_kept_only=None)
