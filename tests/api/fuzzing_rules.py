"""Which well-formed requests an operation may refuse all the same, and by which reasons.

No schema can say these rules, so for them alone schemathesis is told to expect a refusal. A refusal
with any other reason, `INVALID_REQUEST` above all, means that the document promises too much.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from schemathesis.config import SchemathesisConfig

# Cursors are opaque: only the service knows which it gave out, and for which list.
_LISTS = (
    "list_datasets", "list_rejections", "list_parts", "list_jobs", "list_weights",
    "list_selections", "list_selectors", "list_webhooks", "list_webhook_deliveries", "list_keys",
    "list_audit",
)  # fmt: skip
# Ids in a body name rows, which have to be there, ready, of the right role, and fit together.
_PAIRED_DATASETS = {
    "DATASET_NOT_FOUND", "DATASET_NOT_READY", "WRONG_ROLE", "MODALITY_DIFFERS", "SHAPES_DIFFER",
    "CLASSES_DIFFER",
}  # fmt: skip
# Which settings there are depends on the method, as `/v1/job-config-schema` tells; and how long a
# job may run depends on the installation.
_SETTINGS = {"UNKNOWN_CONFIG_KEY", "OUT_OF_RANGE"}

RULES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_LISTS, frozenset({"INVALID_CURSOR"})),
    "create_job": frozenset(_PAIRED_DATASETS | _SETTINGS),
    "estimate_job": frozenset(_PAIRED_DATASETS | _SETTINGS),
    "score_dataset": frozenset({*_PAIRED_DATASETS, "CLASSES_UNKNOWN", "OUT_OF_RANGE"}),
    # A hash has to be that of the bytes which come along, or have come before.
    "upload_part": frozenset({"HASH_MISMATCH"}),
    "complete_upload": frozenset({"HASH_MISMATCH"}),
    # Only a pool of images fills the formats that hold images.
    "download_job_manifest": frozenset({"IMAGES_NEEDED"}),
    "download_selection_manifest": frozenset({"IMAGES_NEEDED"}),
    # A job's pool may hold fewer samples than are to be kept.
    "create_selection": frozenset({"OUT_OF_RANGE"}),
    # Whether http, and which networks, may be reached is the operator's to say; and not every text
    # of the letters of an address is one.
    "create_webhook": frozenset({"INVALID_URL", "ADDRESS_REFUSED"}),
    "update_webhook": frozenset({"INVALID_URL", "ADDRESS_REFUSED"}),
    # A time has to lie ahead, and in a century that a calendar has.
    "create_key": frozenset({"EXPIRY_PAST", "OUT_OF_RANGE"}),
}
# Rows may not be there (any more), or be in no state for what is asked.
_ACCEPTED = ["2xx", "3xx", HTTPStatus.NOT_FOUND.value, HTTPStatus.CONFLICT.value]
# An id or a number that is none makes a path that leads nowhere.
_REJECTED = [
    HTTPStatus.BAD_REQUEST.value,
    HTTPStatus.NOT_FOUND.value,
    HTTPStatus.METHOD_NOT_ALLOWED.value,
    HTTPStatus.CONFLICT.value,
    HTTPStatus.UNPROCESSABLE_ENTITY.value,
]


def fuzzing_config() -> SchemathesisConfig:
    """Return the configuration under which every check holds."""
    return SchemathesisConfig.from_dict(
        {
            # The caller's own key is sent, so that a made-up one would never arrive.
            "generation": {"with-security-parameters": False},
            "checks": {
                "positive_data_acceptance": _expecting(_ACCEPTED),
                "negative_data_rejection": _expecting(_REJECTED),
            },
            "operations": [
                *(
                    _for_operation(name, HTTPStatus.UNPROCESSABLE_ENTITY.value)
                    for name in sorted(RULES)
                ),
                # The operator names the buckets that may be read.
                _for_operation("import_dataset", HTTPStatus.FORBIDDEN.value),
            ],
        }
    )


def _for_operation(name: str, status: int) -> dict[str, Any]:  # As a TOML file holds it.
    checks = {"positive_data_acceptance": _expecting([*_ACCEPTED, status])}
    return {"include-operation-id": name, "checks": checks}


def _expecting(statuses: list[Any]) -> dict[str, list[Any]]:  # Numbers, or texts such as 2xx.
    return {"expected-statuses": statuses}
