"""The service connects to public addresses alone, however the others are written."""

import pytest

from curation.errors import InvalidInputError
from curation.outbound_addresses import (
    AddressRefusedError,
    checked_addresses,
    parse_networks,
    target_of,
)

PUBLIC = "93.184.215.14"
TARGET = target_of("https://example.org/", ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104 - Refused, not listened on.
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:0:0:0:0:f5ff:fffe",
    ],
)
def test_address_that_is_not_public_is_refused_even_beside_one_that_is(address: str) -> None:
    with pytest.raises(AddressRefusedError):
        checked_addresses([PUBLIC, address], TARGET, ())


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_address_is_reached(address: str) -> None:
    assert [str(found) for found in checked_addresses([address], TARGET, ())] == [address]


def test_host_without_an_address_is_refused() -> None:
    with pytest.raises(AddressRefusedError):
        checked_addresses([], TARGET, ())


def test_network_that_the_operator_names_is_reached_and_no_other() -> None:
    allowed = parse_networks("10.1.0.0/16, fd00::/8")
    assert checked_addresses(["10.1.2.3", "fd00::5", PUBLIC], TARGET, allowed)
    with pytest.raises(AddressRefusedError):
        checked_addresses(["10.2.0.1"], TARGET, allowed)


def test_http_reaches_named_networks_alone() -> None:
    allowed = parse_networks("127.0.0.0/8")
    target = target_of("http://localhost:8080/a", allowed)
    assert checked_addresses(["127.0.0.1"], target, allowed)
    with pytest.raises(AddressRefusedError):
        checked_addresses([PUBLIC], target, allowed)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "INVALID_URL"),
        ("ftp://example.org/", "INVALID_URL"),
        ("file:///etc/passwd", "INVALID_URL"),
        ("gopher://example.org", "INVALID_URL"),
        ("https://", "INVALID_URL"),
        ("https://user:word@example.org/", "INVALID_URL"),
        ("https://example.org/#part", "INVALID_URL"),
        ("https://example.org:99999/", "INVALID_URL"),
        ("https://example.org/#", "INVALID_URL"),
        (r"https://example.org\path", "INVALID_URL"),
        ("https://example.org/\r\nX-Evil: 1", "INVALID_URL"),
        ("https://exa mple.org/", "INVALID_URL"),
        ("https://ex\u202eample.org/", "INVALID_URL"),
        ("https://[::1", "INVALID_URL"),
        ("https://example.org/" + "a" * 3000, "INVALID_URL"),
        ("https://127.0.0.1/", "ADDRESS_REFUSED"),
        ("https://[::ffff:10.0.0.1]/", "ADDRESS_REFUSED"),
        ("https://169.254.169.254/latest/meta-data", "ADDRESS_REFUSED"),
    ],
)
def test_address_of_another_kind_is_refused_when_it_is_given(url: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        target_of(url, ())
    assert (caught.value.reason, caught.value.field) == (reason, "url")
    assert caught.value.cure
