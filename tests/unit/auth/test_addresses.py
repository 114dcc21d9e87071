from __future__ import annotations

import pytest

from pellucid.auth.addresses import is_loopback, network_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::ffff:7f01:203"])
def test_an_address_of_this_machine_alone_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["128.0.0.1", "0.0.0.0", "10.0.0.1", "::", "::2", "::127.0.0.1", "::ffff:10.0.0.1", "fe80::1%lo", "localhost", ""],
)
def test_any_other_address_or_name_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_whoever_has_one_address_of_an_ipv6_network_counts_as_having_all(host: str, network: str) -> None:
    assert network_of(host) == network
