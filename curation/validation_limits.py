"""The caps under which an upload is validated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationLimits:
    """Caps on what one upload may cost; the meaning of each is that of the setting of its name."""

    max_archive_members: int
    max_archive_bytes: int
    max_archive_ratio: float
    max_image_pixels: int
    max_rejections_stored: int
    max_validation_seconds: int
    max_validation_memory_bytes: int
