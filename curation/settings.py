"""The settings that every process of the service shares, read from the environment."""

from enum import StrEnum

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_KIBI = 1024
_GIBI = 1024**3


class LogFormat(StrEnum):
    """How a log line is written: for machines or for people."""

    JSON = "json"
    CONSOLE = "console"


class CurationSettings(BaseSettings):
    """What the domain needs to know; built once in an entry point and passed down.

    Every field is read from the environment variable of its name with the prefix `WINNOW_`.
    """

    model_config = SettingsConfigDict(env_prefix="WINNOW_", frozen=True, extra="ignore")

    database_url: str = Field(description="PostgreSQL address, postgresql+psycopg://...")
    broker_url: str = Field(description="Redis or Valkey address, redis:// or redis+socket://")
    object_store: str = Field(description="Where objects lie: file:///absolute/path")

    lease_seconds: float = Field(75.0, gt=0, description="How long a claim holds unrenewed.")
    heartbeat_seconds: float = Field(15.0, gt=0, description="Time between two renewals.")
    sweep_seconds: float = Field(20.0, gt=0, description="Time between two sweeps.")
    grace_seconds: float = Field(30.0, ge=0, description="Time from the request to stop to kill.")
    max_attempts: int = Field(3, ge=1, description="How often a job may be claimed.")
    max_runtime_seconds: int = Field(86_400, ge=1, description="Longest run of one job.")
    ring_backoff_seconds: float = Field(
        30.0, gt=0, description="Age at which an unanswered message is sent again."
    )
    orphan_seconds: float = Field(
        3_600.0, gt=0, description="Age at which an object that no row names is removed."
    )

    max_upload_bytes: int = Field(20 * _GIBI, ge=1, description="Largest upload.")
    max_archive_members: int = Field(2_000_000, ge=1, description="Most files in an archive.")
    max_archive_bytes: int = Field(200 * _GIBI, ge=1, description="Largest unpacked archive.")
    max_archive_ratio: float = Field(200.0, ge=1, description="Largest unpacked/packed size.")
    max_image_pixels: int = Field(16_777_216, ge=1, description="Largest image, in pixels.")
    max_rejections_stored: int = Field(
        10_000, ge=0, description="Rejected rows kept with their reason; all are counted."
    )
    max_validation_seconds: int = Field(
        1_800, ge=1, description="Longest validation of one dataset, wall-clock and CPU."
    )
    max_validation_memory_bytes: int = Field(
        8 * _GIBI, ge=512 * _KIBI * _KIBI, description="Address space of one validation."
    )

    log_level: str = Field("INFO", description="Least severe level that is written.")
    log_format: LogFormat = Field(LogFormat.JSON, description="json or console.")
