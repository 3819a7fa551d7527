"""What every log line of an attempt carries, in the worker and in its training process."""

from curation.jobs import Claim
from curation.tracing import trace_id_of


def log_fields(claim: Claim) -> dict[str, str | int]:
    """Return the ids of an attempt, and of the request that asked for its job."""
    fields: dict[str, str | int] = {
        "job_id": str(claim.job_id),
        "attempt": claim.attempt,
        "workspace_id": str(claim.workspace_id),
    }
    # The job that is claimed need not be the one that the message rang for.
    if claim.origin.request_id is not None:
        fields["request_id"] = claim.origin.request_id
    trace_id = trace_id_of(claim.origin.trace_parent)
    if trace_id is not None:
        fields["trace_id"] = trace_id
    return fields
