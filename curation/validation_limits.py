"""The caps under which an upload is validated."""

from dataclasses import dataclass

from curation.settings import CurationSettings


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

    @classmethod
    def of(cls, settings: CurationSettings) -> "ValidationLimits":
        """Return the caps of an installation."""
        return cls(
            max_archive_members=settings.max_archive_members,
            max_archive_bytes=settings.max_archive_bytes,
            max_archive_ratio=settings.max_archive_ratio,
            max_image_pixels=settings.max_image_pixels,
            max_rejections_stored=settings.max_rejections_stored,
            max_validation_seconds=settings.max_validation_seconds,
            max_validation_memory_bytes=settings.max_validation_memory_bytes,
        )
