"""What a peer's address tells: whether it is this machine, and whom to count its failures with."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

__all__ = ["is_loopback", "network_of"]

_ONE_OWNER = 64
"""Bits of an IPv6 address that name a network: who has one address of it usually has all of them."""


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of this machine that no other can be reached by or send from."""
    address = _parsed(host)
    return address is not None and address.is_loopback


def network_of(host: str) -> str:
    """What stands for everybody who can easily send from `host`: an IPv4 address, or the /64 of an IPv6 one."""
    match _parsed(host):
        case IPv6Address() as address:
            return str(IPv6Network((int(address), _ONE_OWNER), strict=False))
        case None:
            return host
        case address:
            return str(address)


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # A socket for both families shows IPv4 peers so; not every Python takes ::ffff:127.0.0.1 for loopback.
    return getattr(address, "ipv4_mapped", None) or address
