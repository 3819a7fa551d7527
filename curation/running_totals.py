"""Totals over the service's whole life, kept in the database so that all processes agree.

Rows can be deleted, a total never shrinks: what is counted from rows would seem to begin anew
whenever retention removes some.
"""

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import CheckConstraint, Text, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from curation.table_root import Base

_PENDING = "running_totals"


class Total(StrEnum):
    """What is counted, each with the meaning of its labels."""

    JOB_ENDS = "job_ends"  # Final state, failure reason or nothing.
    ATTEMPT_ENDS = "attempt_ends"  # Kind of the event that ended it, reason or nothing.
    PHASE_SECONDS = "phase_seconds"  # Phase.
    VALIDATIONS = "validations"  # State of the dataset, failure reason or nothing.
    WEBHOOK_TRIES = "webhook_tries"  # How a try ended.
    WEBHOOK_ENDS = "webhook_ends"  # State of the delivery.
    UPLOAD_BYTES = "upload_bytes"  # No label.


class RunningTotal(Base):
    """One total for one combination of labels."""

    __tablename__ = "running_totals"
    __table_args__ = (CheckConstraint("value >= 0", name="value_not_negative"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), primary_key=True)
    value: Mapped[float]


def add_to_total(session: Session, total: Total, *labels: str, amount: float = 1.0) -> None:
    """Add to a total in the transaction of what is counted; the end of the unit of work writes it.

    Args:
        session: The transaction.
        total: Which total.
        *labels: Its labels, in the order that the total names them.
        amount: How much, 0 or more.
    """
    pending = session.info.setdefault(_PENDING, defaultdict(float))
    pending[total.value, labels] += amount


def write_totals(session: Session) -> None:
    """Write what the transaction has added; the last thing before its commit.

    Many transactions share these rows, so they are locked late and always in the same order.
    """
    pending = session.info.pop(_PENDING, None)
    if not pending:
        return
    # What was changed before must not wait for these rows while it holds others.
    session.flush()
    rows = [
        {"name": name, "labels": list(labels), "value": value}
        for (name, labels), value in sorted(pending.items())
    ]
    addition = insert(RunningTotal).values(rows)
    session.execute(
        addition.on_conflict_do_update(
            index_elements=[RunningTotal.name, RunningTotal.labels],
            set_={"value": RunningTotal.value + addition.excluded.value},
        )
    )


def read_totals(session: Session) -> Mapping[Total, Mapping[tuple[str, ...], float]]:
    """Return every total by its labels; one that was never added to is empty."""
    totals: dict[Total, dict[tuple[str, ...], float]] = {total: {} for total in Total}
    known = set(Total)
    for name, labels, value in session.execute(
        select(RunningTotal.name, RunningTotal.labels, RunningTotal.value)
    ):
        # A newer version of the service may count what this one does not know.
        if name in known:
            totals[Total(name)][tuple(labels)] = value
    return totals
