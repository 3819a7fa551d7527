"""Winnow for users: the Python client, the command line and the one-machine stack."""

from winnow.client import Client
from winnow.errors import (
    ApiError,
    DatasetInvalidError,
    JobCancelledError,
    JobFailedError,
    Problem,
    ServerUnreachableError,
    WinnowError,
)
from winnow.resources import (
    Dataset,
    DatasetRequest,
    DatasetState,
    Job,
    JobRequest,
    JobState,
    Rejection,
    Role,
    SampleWeight,
    Selection,
    Suggested,
    Threshold,
    TopCount,
    TopFraction,
)

__all__ = [
    "ApiError",
    "Client",
    "Dataset",
    "DatasetInvalidError",
    "DatasetRequest",
    "DatasetState",
    "Job",
    "JobCancelledError",
    "JobFailedError",
    "JobRequest",
    "JobState",
    "Problem",
    "Rejection",
    "Role",
    "SampleWeight",
    "Selection",
    "ServerUnreachableError",
    "Suggested",
    "Threshold",
    "TopCount",
    "TopFraction",
    "WinnowError",
]
