"""Sessions of browsers: opened with an API key, named by a secret token, closed or run out."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from curation.errors import UnauthenticatedError
from curation.keys import Principal, authenticate, is_alive, principal_of
from curation.models import ApiKey, BrowserSession

LIFETIME = timedelta(hours=12)
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session that has just begun.

    Attributes:
        token: What the browser sends back; only its hash is stored.
        principal: Who has signed in.
    """

    token: str
    principal: Principal


def open_session(session: Session, key: str, now: datetime) -> OpenedSession:
    """Return a new session of whoever holds `key`, and forget the ones that have run out.

    Args:
        session: The transaction.
        key: The whole word, `wnw_<prefix>_<secret>`.
        now: The time.

    Raises:
        UnauthenticatedError: The key opens nothing.
    """
    principal = authenticate(session, key, now)
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        BrowserSession(
            token_hash=_hash(token),
            key_id=principal.key_id,
            created_at=now,
            expires_at=now + LIFETIME,
        )
    )
    return OpenedSession(token, principal)


def authenticate_session(session: Session, token: str, now: datetime) -> Principal:
    """Return who has signed in; a session ends with its key, too.

    Raises:
        UnauthenticatedError: The session is unknown or has run out, or its key opens nothing now.
    """
    # The token has 256 random bits, so that a look-up by its hash tells a guesser nothing.
    row = session.execute(
        select(ApiKey, BrowserSession.expires_at)
        .join(BrowserSession, BrowserSession.key_id == ApiKey.id)
        .where(BrowserSession.token_hash == _hash(token))
    ).one_or_none()
    if row is None or row.expires_at <= now or not is_alive(row.ApiKey, now):
        raise UnauthenticatedError(
            "SESSION_ENDED", "The session has ended.", cure="Sign in with an API key again."
        )
    return principal_of(row.ApiKey, now)


def close_session(session: Session, token: str) -> None:
    """End a session; one that has ended already stays so."""
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == _hash(token)))


def csrf_token_of(token: str) -> str:
    """Return the word that a page of ours sends beside the cookie, which no other site can read."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
