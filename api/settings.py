"""The settings of the API process, read from the environment in its entry point alone."""

from pydantic import Field

from curation.settings import CurationSettings


class ApiSettings(CurationSettings):
    """What the HTTP shell needs beside the domain's own settings."""

    database_connections: int = Field(
        default=10, ge=1, description="Connections kept open; as many again may open briefly."
    )
    poll_seconds: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="How often a waiting request or event stream looks at the database.",
    )
