"""Sends messages to webhook endpoints, over connections that lead to checked addresses alone."""

import asyncio
import socket
import time
from collections.abc import Sequence
from datetime import datetime

import httpx2
import structlog
from sqlalchemy import Engine
from standardwebhooks import Webhook

from curation.clock import Clock
from curation.errors import InvalidInputError
from curation.models import TryOutcome
from curation.outbound_addresses import (
    Address,
    AddressRefusedError,
    Network,
    Target,
    checked_addresses,
    parse_networks,
    target_of,
)
from curation.settings import CurationSettings
from curation.webhook_deliveries import Message, Reply, record_reply, take_message

# More wait for the next ring, so that a worker can be told to leave.
_MAX_MESSAGES = 100

log = structlog.get_logger(__name__)


def deliver_due(engine: Engine, settings: CurationSettings, clock: Clock) -> int:
    """Send the messages that are due, and return how many were tried."""
    for count in range(_MAX_MESSAGES):
        message = take_message(engine, settings, clock())
        if message is None:
            return count
        reply = send(message, settings, clock())
        log.info(
            "webhook_tried",
            delivery_id=str(message.delivery_id),
            attempt=message.attempt,
            status_code=reply.status_code,
            error=reply.error,
        )
        record_reply(engine, message, reply, settings, clock())
    return _MAX_MESSAGES


def send(message: Message, settings: CurationSettings, now: datetime) -> Reply:
    """Send one message, and return how that ended.

    The host is resolved once, all its addresses are checked, and the connection goes to one of
    them; redirects and proxies are not followed, and of the answer nothing but its status is read.
    """
    began = time.monotonic()
    try:
        status_code = asyncio.run(_post_in_time(message, settings, now))
    except TimeoutError:
        return Reply(time.monotonic() - began, error=TryOutcome.TIMEOUT)
    except (AddressRefusedError, InvalidInputError):
        return Reply(time.monotonic() - began, error=TryOutcome.ADDRESS_REFUSED)
    except socket.gaierror:
        return Reply(time.monotonic() - began, error=TryOutcome.HOST_NOT_FOUND)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
        return Reply(time.monotonic() - began, error=TryOutcome.CONNECTION_FAILED)
    return Reply(time.monotonic() - began, status_code=status_code)


async def _post_in_time(message: Message, settings: CurationSettings, now: datetime) -> int:
    async with asyncio.timeout(settings.webhook_timeout_seconds):
        allowed = parse_networks(settings.outbound_networks)
        target = target_of(message.url, allowed)
        addresses = await _resolve(target, allowed)
        return await _post(message, target, addresses[0], now)


async def _resolve(target: Target, allowed: Sequence[Network]) -> list[Address]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return checked_addresses([str(entry[4][0]) for entry in found], target, allowed)


async def _post(message: Message, target: Target, address: Address, now: datetime) -> int:
    url = httpx2.URL(message.url)
    headers = {
        # The name that was asked for, though the connection goes to an address.
        "Host": url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "User-Agent": "Winnow-Webhooks",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(
            Webhook(secret).sign(message.message_id, now, message.body)
            for secret in message.secrets
        ),
    }
    # Proxies of the environment would resolve the host a second time.
    async with (
        httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as client,
        client.stream(
            "POST",
            url.copy_with(host=str(address)),
            content=message.body.encode(),
            headers=headers,
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        return response.status_code
