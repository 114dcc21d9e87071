"""Pellucid's door for Twisted: the same program as for Twisted's PB, in the `pb` or the native dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.peers import pb_program
from benchmarks.peers.base import Method, Ready, Setup
from benchmarks.peers.pellucid_asyncio import NATIVE, generous
from pellucid.twisted import pb


def broker_for(setup: Setup) -> Any:
    class Broker(pb.Broker):
        limits = generous(pb.Broker.limits) if setup.size else replace(pb.Broker.limits)

    if setup.variant == "pb":
        Broker.knownDialects = [b"pb"]
    return Broker


def serve(setup: Setup, ready: Ready) -> None:
    pb_program.serve(pb, pb_program.make_root(pb, lambda method: method), broker_for(setup), setup, ready)


class Client(pb_program.Client):
    pb = pb

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.broker = broker_for(setup)

    async def open(self) -> None:
        await super().open()
        if self.setup.variant == "native" and self.root.broker.currentDialect != NATIVE.encode():
            self.lack("no native dialect yet")

    def method(self, name: str) -> Method:
        if name == "echo_bytes" and self.setup.variant == "native":
            return super().method("echo")
        return super().method(name)

    async def swallow(self, data: bytes) -> int:
        if self.setup.variant == "pb":
            return await super().swallow(data)
        taken_in: int = await self.root.callRemote("swallow", data)
        return taken_in

    async def batch(self, texts: Sequence[str]) -> list[str]:
        gather: Any = getattr(pb, "gather", None)
        prepare: Any = getattr(self.root, "prepare", None)
        if gather is None or prepare is None:
            self.lack("no batches yet")
        answers: list[str] = await gather(*(prepare("echo", text) for text in texts))
        return answers

    async def use_reference_pipelined(self, text: str) -> str:
        thing = self.root.call("make")
        if not hasattr(thing, "call"):
            await thing
            self.lack("no pipelining yet")
        answer: str = await thing.call("echo", text)
        return answer
