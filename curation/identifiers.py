"""Distinct types for the ids of rows, and the one way to make a new id."""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

WorkspaceId = NewType("WorkspaceId", UUID)
DatasetId = NewType("DatasetId", UUID)
JobId = NewType("JobId", UUID)
SelectionId = NewType("SelectionId", UUID)
SelectorId = NewType("SelectorId", UUID)
KeyId = NewType("KeyId", UUID)
EndpointId = NewType("EndpointId", UUID)
DeliveryId = NewType("DeliveryId", UUID)


def new_id() -> UUID:
    """Return a new UUIDv7: it sorts by the time of its making, so indexes grow at one end."""
    return uuid7()
