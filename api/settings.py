"""The settings of the API process, read from the environment in its entry point alone."""

from enum import StrEnum

from pydantic import Field

from curation.settings import CurationSettings


class DownloadWay(StrEnum):
    """How a stored file gets to a client."""

    STREAM = "stream"
    REDIRECT = "redirect"


class ApiSettings(CurationSettings):
    """What the HTTP shell needs beside the domain's own settings."""

    database_connections: int = Field(
        default=10, ge=1, description="Connections kept open; as many again may open briefly."
    )
    downloads: DownloadWay = Field(
        default=DownloadWay.STREAM,
        description="stream through the API, or redirect to the store where it has addresses.",
    )
    download_address_seconds: float = Field(
        default=300, ge=1, le=604_800, description="How long such an address is good."
    )
    poll_seconds: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="How often a waiting request or event stream looks at the database.",
    )
    rate_limit_requests: int = Field(
        default=6000, ge=0, description="Calls of one key in a window; 0 counts none."
    )
    rate_limit_seconds: int = Field(default=60, ge=1, description="Length of that window.")
