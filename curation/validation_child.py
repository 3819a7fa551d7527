"""The process that decodes an upload: one JSON request comes in, one JSON answer goes out."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from curation.intake import ValidationRequest
from curation.limited_child import answer_request
from curation.sample_kinds import Modality, Role
from curation.validation import Refusal, Validation, validate_dataset
from curation.validation_limits import ValidationLimits


def main() -> int:
    """Answer the request on standard input, and return the exit code."""
    return answer_request(_answer)


def _answer(
    message: dict[str, Any],  # JSON values, as the parent wrote them.
) -> dict[str, Any]:  # JSON values.
    raw = message["request"]
    modality = raw["modality"]
    request = ValidationRequest(
        file_name=raw["file_name"],
        role=Role(raw["role"]),
        modality=None if modality is None else Modality(modality),
        label_column=raw["label_column"],
        id_column=raw["id_column"],
        image_size=raw["image_size"],
    )
    limits = ValidationLimits(**message["limits"])
    match validate_dataset(Path(message["path"]), Path(message["destination"]), request, limits):
        case Validation() as validation:
            return asdict(validation)
        case Refusal(error=error) as refusal:
            return {
                "error": {
                    "reason": error.reason,
                    "detail": error.detail,
                    "field": error.field,
                    "row": error.row,
                    "cure": error.cure,
                },
                "rejected_count": refusal.rejected_count,
                "rejections": [asdict(rejection) for rejection in refusal.rejections],
            }


if __name__ == "__main__":
    raise SystemExit(main())
