"""Fixtures: a stock Twisted server and client, and pellucid against either."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from tests.interop import twin
from tests.interop.harness import Ask, Connect, StockClient, StockServer, run
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
def stock_server() -> Iterator[StockServer]:
    server = StockServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def stock_client() -> Iterator[StockClient]:
    client = StockClient()
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
def ask(dialect: str, stock_client: StockClient) -> Ask:
    """A stock client against a server of pellucid's."""

    def play(scenario: str, **options: Any) -> Any:
        async def against_pellucid() -> Any:
            async with twin.serving() as ports:
                return await asyncio.to_thread(stock_client.ask, scenario, dialect, ports, options)

        return run(against_pellucid())

    return play


@pytest.fixture(params=["pellucid", "twisted"])
def ask_either(
    request: pytest.FixtureRequest, dialect: str, ask: Ask, stock_client: StockClient, stock_server: StockServer
) -> Ask:
    """The same, and a stock client against the stock server: what is asserted of ours is what Twisted does."""

    def play(scenario: str, **options: Any) -> Any:
        return stock_client.ask(scenario, dialect, stock_server.ports[dialect], options)

    return ask if request.param == "pellucid" else play


@pytest.fixture
def connect(dialect: str, stock_server: StockServer) -> Connect:

    @asynccontextmanager
    async def open_connection(
        service: str = "root", *, registry: pb.Registry = twin.REGISTRY, **settings: Any
    ) -> AsyncGenerator[pb.Connection]:
        url = f"pb://127.0.0.1:{stock_server.ports[dialect][service]}"
        async with pb.connect(url, registry=registry, **settings) as connection:
            assert connection.dialect == dialect
            yield connection

    return open_connection
