"""What every test of the Twisted door has: tables of its own, and a look at what is logged as an error."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.python import log

from pellucid.twisted import jelly, pb


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """What a test registers process-wide is forgotten after it."""
    registries = (jelly.unjellyableRegistry, jelly.unjellyableFactoryRegistry, jelly.globalSecurity.allowedTypes)
    contents = [dict(registry) for registry in registries]
    yield
    for registry, before in zip(registries, contents, strict=True):
        registry.clear()
        registry.update(before)


def speak(monkeypatch: pytest.MonkeyPatch, dialect: str) -> str:
    monkeypatch.setattr(pb.Broker, "knownDialects", [dialect.encode()])
    return dialect


@pytest.fixture(params=["pellucid", "pb"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the dialect that all connections of a test speak: each in turn."""
    return speak(monkeypatch, request.param)


@pytest.fixture
def speaks_pb(monkeypatch: pytest.MonkeyPatch) -> str:
    """All connections of a test speak PB's dialect."""
    return speak(monkeypatch, "pb")


@pytest.fixture
def speaks_native(monkeypatch: pytest.MonkeyPatch) -> str:
    """All connections of a test speak the native dialect."""
    return speak(monkeypatch, "pellucid")


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged as an error while a test runs."""
    gc.collect()  # Failures that nobody looked at in other tests are told of where they are collected
    errors: list[Any] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("isError"):
            errors.append(event)

    log.addObserver(observe)
    yield errors
    log.removeObserver(observe)


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What is logged while a test runs."""
    logged: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        logged.append(" ".join(event["message"]))

    log.addObserver(observe)
    yield logged
    log.removeObserver(observe)
