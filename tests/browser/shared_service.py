"""One service for all tests of the dashboard, and a workspace of its own for each of them."""

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Engine

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import Scope, create_key
from winnow.data_folder import StackAddress


@dataclass(frozen=True)
class SharedService:
    """A whole service, in which each test has a workspace of its own.

    Attributes:
        server: Where it answers.
        engine: Its database.
    """

    server: str
    engine: Engine

    def new_workspace(self) -> StackAddress:
        """Return where the service answers, with a key to a new workspace."""
        with unit_of_work(self.engine) as session:
            _, word = create_key(
                session,
                workspace_name=f"tests {uuid4()}",
                name="browser",
                scopes=list(Scope),
                now=utc_now(),
            )
        return StackAddress(self.server, word)
