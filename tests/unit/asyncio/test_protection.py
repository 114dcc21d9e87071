"""Which connections credentials may be sent over."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

import pellucid as pb
from pellucid.asyncio import login
from pellucid.asyncio.login import Link, is_protected
from tests.unit.asyncio.door import Gate, on_each_loop, pair


class FakeTransport:
    """A transport to an address that tests can't connect to."""

    def __init__(self, **info: Any) -> None:
        self._info = info

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._info.get(name, default)


class FakeSocket:
    family = socket.AF_INET


@pytest.mark.parametrize(
    ("host", "protected"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("2001:db8::1", False)],
)
def test_without_tls_the_address_decides(host: str, protected: bool) -> None:
    transport: Any = FakeTransport(socket=FakeSocket(), peername=(host, 8787))
    assert is_protected(transport) == protected


@pytest.mark.parametrize("info", [{}, {"peername": "somewhere"}, {"peername": ("localhost", 1)}, {"peername": ""}])
def test_what_is_not_known_is_not_protected(info: dict[str, Any]) -> None:
    transport: Any = FakeTransport(**info)
    assert not is_protected(transport)


def test_a_connection_not_made_is_not_protected() -> None:
    assert not is_protected(None)


@on_each_loop
async def test_a_loopback_connection_is_protected_at_both_ends() -> None:
    async with pair(Gate()) as both:
        assert [Link(end).protected for end in (both.client, both.served)] == [True, True]
        assert [Link(end).host for end in (both.client, both.served)] == ["127.0.0.1", "127.0.0.1"]


@on_each_loop
async def test_a_unix_socket_is_protected_at_both_ends(tmp_path: Path) -> None:
    async with pb.serve(Gate(), f"pb+unix:{tmp_path / 's'}") as server, pb.connect(server.urls[0]) as client:
        await client.root.call("echo")
        assert [Link(end).protected for end in (client, *server.connections)] == [True, True]
        assert [Link(end).host for end in server.connections] == [f"unix:{tmp_path / 's'}"]


@dataclass
class FakeTLS:
    context: ssl.SSLContext
    server_side: bool = False


def test_tls_is_protected_where_the_certificate_is_checked() -> None:
    careful, careless = ssl.create_default_context(), ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ends = FakeTLS(careful), FakeTLS(careless), FakeTLS(server_side, server_side=True)
    transports: list[Any] = [FakeTransport(ssl_object=tls, peername=("10.0.0.1", 8787)) for tls in ends]
    assert [is_protected(transport) for transport in transports] == [True, False, True]


@on_each_loop
async def test_what_the_loop_tells_of_tls_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr(login, "is_loopback", lambda host: False)
    serving = pb.serve(Gate(), "pbs://127.0.0.1:0", tls=server_side)
    async with serving as server, pb.connect(server.urls[0], tls=context) as client:
        await client.root.call("echo")
        assert [Link(end).protected for end in (client, *server.connections)] == [True, True]
