"""Where the service may connect on a user's word: never to its own network, unless told so."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

from curation.errors import InvalidInputError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAX_URL_LENGTH = 2000
_PORTS = {"http": 80, "https": 443}
# Letters of names, percent-encoded ones among them, and of both kinds of literal addresses.
_HOST = re.compile("[a-z0-9._~%:-]+")
# Translates to IPv4; the address behind it stands in the last 32 bits.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefusedError(Exception):
    """A host is, or resolves to, an address that the service must not connect to."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address of the web, taken apart.

    Attributes:
        scheme: http or https.
        host: Name or literal address.
        port: Number.
    """

    scheme: str
    host: str
    port: int


def parse_networks(text: str | None) -> tuple[Network, ...]:
    """Return the networks of a list such as `10.0.0.0/8, fd00::/8`; no list holds none.

    Raises:
        ValueError: One of them is none.
    """
    return tuple(
        ipaddress.ip_network(part.strip()) for part in (text or "").split(",") if part.strip()
    )


def target_of(url: str, allowed: Sequence[Network]) -> Target:
    """Return where a user's address leads, as far as that is known without asking anyone.

    Args:
        url: https, or http where the operator allows a network at all.
        allowed: Networks that may be reached though they are not public.

    Raises:
        InvalidInputError: It is no such address, or names one that is refused.
    """
    parts = _split(url)
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _bad_url("Its port is no number.") from error
    if parts.scheme not in _PORTS or (parts.scheme == "http" and not allowed):
        raise _bad_url("It has to begin with https://.")
    if not parts.hostname:
        raise _bad_url("It names no host.")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise _bad_url("It must hold neither a user, nor a password, nor a fragment.")
    if not _HOST.fullmatch(parts.hostname):
        raise _bad_url("Its host is neither a name nor an address.")
    target = Target(parts.scheme, parts.hostname, port)
    try:
        literal = ipaddress.ip_address(target.host)
    except ValueError:
        return target
    try:
        checked_address(literal, target, allowed)
    except AddressRefusedError as error:
        raise InvalidInputError(
            "ADDRESS_REFUSED", f"{error}", field="url", cure="Use a public address."
        ) from error
    return target


def checked_addresses(
    found: Sequence[str], target: Target, allowed: Sequence[Network]
) -> list[Address]:
    """Return the addresses that a host resolved to, all of which may be reached.

    Args:
        found: What the resolver said; connect to one of these, and ask no second time.
        target: Whose they are.
        allowed: Networks that may be reached though they are not public.

    Raises:
        AddressRefusedError: There is none, or any of them is refused.
    """
    if not found:
        raise AddressRefusedError("The host has no address.")
    # A zone (fe80::1%eth0) belongs to link-local addresses alone, which are refused anyway.
    return [
        checked_address(ipaddress.ip_address(text.partition("%")[0]), target, allowed)
        for text in found
    ]


def checked_address(address: Address, target: Target, allowed: Sequence[Network]) -> Address:
    """Return an address that may be reached.

    Raises:
        AddressRefusedError: It may not.
    """
    meant = _meant_address(address)
    if any(meant.version == network.version and meant in network for network in allowed):
        return address
    if target.scheme == "http":
        raise AddressRefusedError("Only networks that the operator names are reached by http.")
    if not meant.is_global or meant.is_multicast or meant.is_reserved:
        raise AddressRefusedError("The host's address is not public.")
    return address


def _meant_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _split(url: str) -> SplitResult:
    if len(url) > _MAX_URL_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        raise _bad_url(f"It has to be at most {_MAX_URL_LENGTH} printable ASCII characters.")
    try:
        return urlsplit(url)
    except ValueError as error:
        raise _bad_url("It cannot be read.") from error


def _bad_url(detail: str) -> InvalidInputError:
    return InvalidInputError(
        "INVALID_URL",
        f"This is no address to deliver to. {detail}",
        field="url",
        cure="Give an https address such as https://example.org/winnow.",
    )
