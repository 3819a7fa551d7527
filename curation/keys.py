"""API keys: made once, shown once, stored as a hash, and checked with each request."""

import argparse
import hashlib
import hmac
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.errors import InvalidInputError, UnauthenticatedError
from curation.identifiers import KeyId, WorkspaceId, new_id
from curation.models import ApiKey, AuditEntry, Workspace
from curation.settings import CurationSettings

_SCHEME = "wnw"
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
# A row that changes with each request would be the busiest of the database.
_LAST_USED_STEP = timedelta(minutes=1)
# In UTC, a time near the last year of all may fall out of what can be told.
_MAX_YEAR = 9000


class Scope(StrEnum):
    """How far a key reaches."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request.

    Attributes:
        workspace_id: Whose rows it may see.
        key_id: The key that it was made with.
        scopes: How far the key reaches.
    """

    workspace_id: WorkspaceId
    key_id: KeyId
    scopes: frozenset[Scope]


def create_key(  # noqa: PLR0913 - a key's columns.
    session: Session,
    *,
    workspace_name: str,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and, for this once, the word that opens with it.

    Args:
        session: The transaction.
        workspace_name: The workspace it opens; made where it is missing.
        name: For people, to tell keys apart.
        scopes: How far it reaches: read, write, admin.
        now: The time.
        expires_at: When it stops opening, or None for never.

    Raises:
        InvalidInputError: A scope is unknown, or none is given.
    """
    workspace_id = _workspace_id(session, workspace_name, now)
    return issue_key(
        session, workspace_id, name=name, scopes=scopes, now=now, expires_at=expires_at
    )


def issue_key(  # noqa: PLR0913 - a key's columns.
    session: Session,
    workspace_id: WorkspaceId,
    *,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key to a workspace that is there, as `create_key` does.

    Raises:
        InvalidInputError: A scope is unknown or none is given, or the key would be born dead
            or live beyond all calendars.
    """
    if expires_at is not None:
        _check_expiry(expires_at, now)
        expires_at = expires_at.astimezone(UTC)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(
        id=new_id(),
        workspace_id=workspace_id,
        name=name,
        prefix=secrets.token_hex(_PREFIX_BYTES),
        secret_hash=_hash(secret),
        scopes=[str(scope) for scope in _checked_scopes(scopes)],
        created_at=now,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key, f"{_SCHEME}_{key.prefix}_{secret}"


def authenticate(session: Session, key: str, now: datetime) -> Principal:
    """Return who a key stands for.

    Args:
        session: The transaction.
        key: The whole word, `wnw_<prefix>_<secret>`.
        now: The time.

    Raises:
        UnauthenticatedError: The key is unknown, revoked or expired; which, is not told.
    """
    scheme, _, rest = key.partition("_")
    prefix, _, secret = rest.partition("_")
    row = None
    if scheme == _SCHEME and prefix.isalnum() and prefix.isascii():
        row = session.scalars(select(ApiKey).where(ApiKey.prefix == prefix)).one_or_none()
    # The secret is hashed and compared even where there is no row, so that time tells nothing.
    stored = row.secret_hash if row is not None else bytes(hashlib.sha256().digest_size)
    is_right = hmac.compare_digest(_hash(secret), stored)
    if row is None or not is_right or not is_alive(row, now):
        raise UnauthenticatedError(
            "INVALID_KEY",
            "The API key does not open anything.",
            cure="Send a valid key as `Authorization: Bearer wnw_...`.",
        )
    return principal_of(row, now)


def principal_of(key: ApiKey, now: datetime) -> Principal:
    """Return who a living key stands for, and note that it was used."""
    if key.last_used_at is None or now - key.last_used_at >= _LAST_USED_STEP:
        key.last_used_at = now
    return Principal(
        WorkspaceId(key.workspace_id),
        KeyId(key.id),
        frozenset(Scope(scope) for scope in key.scopes),
    )


def is_alive(key: ApiKey, now: datetime) -> bool:
    """Return whether a key still opens its workspace."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def _hash(secret: str) -> bytes:
    # A fast hash is enough: the secret has 256 random bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).digest()


def _check_expiry(expires_at: datetime, now: datetime) -> None:
    if expires_at <= now:
        raise InvalidInputError(
            "EXPIRY_PAST",
            "The key would expire before its first use.",
            field="expires_at",
            cure="Name a time that is to come.",
        )
    if expires_at.year > _MAX_YEAR:
        raise InvalidInputError(
            "OUT_OF_RANGE",
            f"The key would live beyond the year {_MAX_YEAR}.",
            field="expires_at",
            cure="Name an earlier time, or none.",
        )


def _checked_scopes(scopes: Sequence[str]) -> list[Scope]:
    known = ", ".join(Scope)
    if not scopes:
        raise InvalidInputError("NO_SCOPE", "A key needs a scope.", field="scopes", cure=known)
    try:
        return sorted({Scope(scope) for scope in scopes})
    except ValueError as error:
        raise InvalidInputError(
            "UNKNOWN_SCOPE",
            "A scope is unknown.",
            field="scopes",
            cure=f"The scopes are: {known}.",
        ) from error


def _workspace_id(session: Session, name: str, now: datetime) -> WorkspaceId:
    session.execute(
        insert(Workspace)
        .values(id=new_id(), name=name, created_at=now)
        .on_conflict_do_nothing(index_elements=[Workspace.name])
    )
    return WorkspaceId(session.scalars(select(Workspace.id).where(Workspace.name == name)).one())


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, list and revoke keys from the command line; a new key is all that is printed.

    Returns:
        The exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    engine = create_database_engine(CurationSettings().database_url, pool_size=1)
    try:
        with unit_of_work(engine) as session:
            return _run(session, options)
    except InvalidInputError as error:
        parser.error(f"{error.detail} {error.cure}")
    finally:
        engine.dispose()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m curation.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, for this once")
    create.add_argument("--workspace", default="default", help="made where it is missing")
    create.add_argument("--name", required=True, help="to tell keys apart")
    create.add_argument("--scopes", default="read,write", help="of read, write, admin")
    listing = commands.add_parser("list", help="list the keys of a workspace")
    listing.add_argument("--workspace", default="default")
    revoke = commands.add_parser("revoke", help="end a key at once")
    revoke.add_argument("--prefix", required=True, help="the key's middle part")
    return parser


def _run(session: Session, options: argparse.Namespace) -> int:
    match options.command:
        case "create":
            _, word = create_key(
                session,
                workspace_name=options.workspace,
                name=options.name,
                scopes=options.scopes.split(","),
                now=utc_now(),
            )
            sys.stdout.write(f"{word}\n")
        case "list":
            _print_keys(session, options.workspace)
        case _:
            return _revoke(session, options.prefix)
    return 0


def _print_keys(session: Session, workspace_name: str) -> None:
    rows = session.scalars(
        select(ApiKey)
        .join(Workspace, Workspace.id == ApiKey.workspace_id)
        .where(Workspace.name == workspace_name)
        .order_by(ApiKey.created_at)
    )
    for row in rows:
        state = "alive" if is_alive(row, utc_now()) else "ended"
        used = row.last_used_at.isoformat() if row.last_used_at else "never used"
        sys.stdout.write(f"{row.prefix}\t{state}\t{','.join(row.scopes)}\t{used}\t{row.name}\n")


def _revoke(session: Session, prefix: str) -> int:
    row = session.scalars(select(ApiKey).where(ApiKey.prefix == prefix)).one_or_none()
    if row is None:
        sys.stderr.write("There is no key of this prefix.\n")
        return 1
    now = utc_now()
    row.revoked_at = row.revoked_at or now
    # The log tells of the operator, too, who has no key.
    session.add(
        AuditEntry(workspace_id=row.workspace_id, at=now, action="revoke_key", object_id=row.id)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
