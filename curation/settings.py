"""The settings that every process of the service shares, read from the environment."""

from enum import StrEnum

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from curation.import_sources import parse_import_sources
from curation.outbound_addresses import parse_networks

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
    object_store: str = Field(description="Where objects lie: file:/// or s3://")

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

    quota_bytes: int = Field(
        1024 * _GIBI, ge=0, description="Most bytes of stored files in a workspace."
    )
    quota_datasets: int = Field(10_000, ge=0, description="Most datasets in a workspace.")
    quota_running_jobs: int = Field(
        100, ge=0, description="Most jobs of a workspace that run at once; others wait."
    )
    quota_queued_jobs: int = Field(20_000, ge=0, description="Most waiting jobs of a workspace.")
    job_retention_days: float | None = Field(
        None, gt=0, description="Age since its end at which a job is deleted; without it, never."
    )
    dataset_retention_days: float | None = Field(
        None, gt=0, description="Time without use after which a dataset is deleted."
    )
    part_retention_days: float = Field(
        7.0, gt=0, description="Age at which parts of an upload that was never completed go."
    )

    max_upload_bytes: int = Field(20 * _GIBI, ge=1, description="Largest upload.")
    max_part_bytes: int = Field(_GIBI, ge=1, description="Largest part of an upload by parts.")
    max_archive_members: int = Field(2_000_000, ge=1, description="Most files in an archive.")
    max_archive_bytes: int = Field(200 * _GIBI, ge=1, description="Largest unpacked archive.")
    max_archive_ratio: float = Field(200.0, ge=1, description="Largest unpacked/packed size.")
    max_image_pixels: int = Field(16_777_216, ge=1, description="Largest image, in pixels.")
    max_rejections_stored: int = Field(
        10_000, ge=0, description="Rejected rows kept with their reason; all are counted."
    )
    max_validation_seconds: int = Field(
        1_800, ge=1, description="Longest validation, or decoding for a job, of one dataset."
    )
    max_validation_memory_bytes: int = Field(
        8 * _GIBI, ge=512 * _KIBI * _KIBI, description="Address space of a validation or decoding."
    )

    import_sources: str | None = Field(
        None, description="Buckets, with prefixes, that datasets may be imported from."
    )
    max_import_seconds: int = Field(
        1_500, ge=1, description="Longest fetch of one imported file, wall-clock."
    )

    webhook_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Longest delivery of one webhook message."
    )
    webhook_max_attempts: int = Field(8, ge=1, le=12, description="Tries of one webhook message.")
    webhook_backoff_seconds: float = Field(
        5.0, gt=0, description="Wait after the first failed try; four times as long after each."
    )
    webhook_max_failures: int = Field(
        5, ge=1, description="Messages given up in a row after which an endpoint is disabled."
    )
    outbound_networks: str | None = Field(
        None, description="Private networks that webhooks may reach, such as 10.0.0.0/8,fd00::/8."
    )

    log_level: str = Field("INFO", description="Least severe level that is written.")
    log_format: LogFormat = Field(LogFormat.JSON, description="json or console.")

    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector that takes traces over HTTP; without it, none."
    )
    trace_share: float = Field(1.0, ge=0, le=1, description="Share of the traces that are kept.")

    @field_validator("outbound_networks")
    @classmethod
    def _check_networks(cls, text: str | None) -> str | None:
        parse_networks(text)
        return text

    @field_validator("import_sources")
    @classmethod
    def _check_sources(cls, text: str | None) -> str | None:
        parse_import_sources(text)
        return text
