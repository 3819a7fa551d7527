"""Single columns of a job's results, packed for readers that take a million values at once."""

from enum import StrEnum

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from curation.identifiers import JobId


class ResultColumn(StrEnum):
    """A column of the results; every one but the map has one value a sample."""

    SCORE = "score"
    LABEL = "label"
    RANK = "rank"
    KEEP = "keep"
    MAP = "map"


MAP_KIND = "map"
NEIGHBOUR_VECTORS_KIND = "neighbour_vectors"

# How the server sends a value, and what type that is; it sends the highest byte first.
_SENT = {
    ResultColumn.SCORE: ("float4send(score)", ">f4", "<f4"),
    ResultColumn.LABEL: ("int4send(label)", ">i4", "<i4"),
    ResultColumn.RANK: ("int4send(rank::int4)", ">i4", "<i4"),
    ResultColumn.KEEP: ("boolsend(keep)", "u1", "u1"),
}


def packed_column(session: Session, job_id: JobId, column: ResultColumn) -> bytes:
    """Return a column in the order of positions, lowest byte first; linear in the pool.

    Scores are float32, labels and ranks int32, `keep` is one byte of 0 or 1.

    Args:
        session: The transaction.
        job_id: Which job.
        column: Any but the map, which is an object of its own.

    Raises:
        KeyError: The map is asked for.
    """
    value, sent_type, packed_type = _SENT[column]
    # The server packs the column into one value, which spares making a million row objects.
    packed = session.scalar(
        text(
            f"SELECT string_agg({value}, ''::bytea ORDER BY position)"  # noqa: S608 - Our own words.
            " FROM sample_weights WHERE job_id = :job_id"
        ),
        {"job_id": job_id},
    )
    return np.frombuffer(packed or b"", dtype=sent_type).astype(packed_type).tobytes()
