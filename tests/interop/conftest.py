"""Fixtures: a stock Twisted server and client, and pellucid against either."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from tests.interop import twin
from tests.interop.harness import Ask, Client, Connect, Server, run
from tests.interop.releases import Release, peer_release, unable

numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect to fail what the release of the stock peers is known to be unable to do."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.parent == Path(__file__).parent:
            parameters = [str(value) for value in item.callspec.params.values()] if hasattr(item, "callspec") else []
            entry = unable(item.originalname, parameters, peer_release())
            if entry is not None:
                reason = f"Twisted {peer_release().twisted}: {entry.reason}"
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True, run=not entry.hangs))


@pytest.fixture(scope="session")
def release() -> Release:
    return peer_release()


@pytest.fixture(scope="session")
def stock_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def stock_client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def door_server() -> Iterator[Server]:
    """The stock server's program on pellucid's Twisted door."""
    server = Server(door=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def door_client() -> Iterator[Client]:
    """The stock client's program on pellucid's Twisted door."""
    client = Client(door=True)
    yield client
    client.close()


@pytest.fixture(params=["pb", "none"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def number() -> int:
    """Different in every test: names made of it are nobody else's at a server that serves them all."""
    return next(numbers)


@pytest.fixture
def ask(dialect: str, stock_client: Client) -> Ask:
    """A stock client against a server of pellucid's."""

    def play(scenario: str, **options: Any) -> Any:
        async def against_pellucid() -> Any:
            async with twin.serving() as ports:
                return await asyncio.to_thread(stock_client.ask, scenario, dialect, ports, options)

        return run(against_pellucid())

    return play


@pytest.fixture(params=["pellucid", "twisted", "door-server", "door-client"])
def ask_either(request: pytest.FixtureRequest, dialect: str, stock_client: Client) -> Ask:
    """The same; and a stock client against the stock server: what is asserted of ours is what Twisted does.

    And the Twisted door, as either side, with a stock peer on the other.
    """
    match request.param:
        case "pellucid":
            ask: Ask = request.getfixturevalue("ask")
            return ask
        case "twisted":
            names = "stock_client", "stock_server"
        case "door-server":
            names = "stock_client", "door_server"
        case _:
            names = "door_client", "stock_server"
    client, server = map(request.getfixturevalue, names)

    def play(scenario: str, **options: Any) -> Any:
        seen = client.ask(scenario, dialect, server.ports[dialect], options)
        # What an exception of this process is called there; on the wire it has PB's name.
        local, known = "pellucid.errors.DeadReferenceError", "twisted.spread.pb.DeadReferenceError"
        return json.loads(json.dumps(seen).replace(local, known)) if client is not stock_client else seen

    return play


@pytest.fixture
def connect(dialect: str, stock_server: Server) -> Connect:

    @asynccontextmanager
    async def open_connection(
        service: str = "root", *, registry: pb.Registry = twin.REGISTRY, **settings: Any
    ) -> AsyncGenerator[pb.Connection]:
        url = f"pb://127.0.0.1:{stock_server.ports[dialect][service]}"
        async with pb.connect(url, registry=registry, **settings) as connection:
            assert connection.dialect == dialect
            yield connection

    return open_connection
