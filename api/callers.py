"""Who sends requests: found out for all that come at the same time by one look at the database."""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from curation.browser_sessions import authenticate_session
from curation.clock import Clock
from curation.database import reading
from curation.errors import UnauthenticatedError
from curation.keys import Principal, authenticate


@dataclass(frozen=True)
class Credential:
    """What a request is sent with.

    Attributes:
        secret: The word of a key, or the token of a browser's session.
        is_session: Which of the two.
    """

    secret: str = field(repr=False)
    is_session: bool


def find_callers(
    engine: Engine, clock: Clock, credentials: Collection[Credential]
) -> dict[Credential, Principal | UnauthenticatedError]:
    """Return for each credential whom it stands for, or why it stands for nobody."""
    with reading(engine) as session:
        return {credential: _find(session, clock, credential) for credential in credentials}


def _find(
    session: Session, clock: Clock, credential: Credential
) -> Principal | UnauthenticatedError:
    find = authenticate_session if credential.is_session else authenticate
    try:
        return find(session, credential.secret, clock())
    except UnauthenticatedError as error:
        # One wrong key must not keep the others of the same look from their answers.
        return error
