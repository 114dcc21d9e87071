"""What a structure costs in the `pb` dialect: sending and taking in a call that carries it, beside Twisted PB.

Both run in this process, on the same bytes, in turn; no sockets and no event loop are involved. For each structure the
table shows medians in milliseconds, and the median of the ratios of the paired runs (above 1: pellucid is faster).

    python benchmarks/structures.py [--repeats 15] [--door]

With `--door` it is the Twisted door that is measured, Deferreds and all; without, the core.

Twisted takes in quadratic time what is large (parity: twisted.spread.banana re-slices its buffer for each element), so
the larger structures take it a while.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.spread import pb as stock_pb  # noqa: TID251 - the peer to compare with

import pellucid as pb
from pellucid.core.broker import Broker
from pellucid.core.caches import CacheObserver
from pellucid.core.calls import Call, Maker
from pellucid.core.references import CallOptions, RemoteReference
from pellucid.flavors.dispatch import DECODED
from pellucid.twisted import pb as door_pb
from pellucid.wire.messages import Answer, MethodCall


def record(number: int) -> dict[str, Any]:
    return {
        "name": f"customer number {number}",
        "number": number * 1000,
        "price": number * 1.5,
        "tag": f"b{number}",
        "ok": True,
    }


def nested(levels: int) -> list[Any]:
    innermost: list[Any] = []
    for _ in range(levels):
        innermost = [innermost]
    return innermost


STRUCTURES: dict[str, Any] = {
    "a short text": "hi",
    "200 dicts of 5 fields": [record(number) for number in range(200)],
    "2,000 dicts of 5 fields": [record(number) for number in range(2000)],
    "10,000 ints": list(range(10_000)),
    "5,000 texts": [f"text {number}" for number in range(5000)],
    "5,000 floats": [number / 2 for number in range(5000)],
    "5,000 times None": [None] * 5000,
    "5,000 bools": [True] * 5000,
    "1,000 sets": [{number, number + 1} for number in range(1000)],
    "2,000 pairs": [(number, str(number)) for number in range(2000)],
    "one list 2,000 times": [[1, 2]] * 2000,
    "100 levels": nested(100),
    "64 KiB of bytes": b"x" * 65_536,
    "600 KiB of bytes": b"x" * 614_400,
}


class Door:
    """The least that a broker needs: nobody awaits its calls, and it is asked for what it has to send."""

    log_number = None
    translator = DECODED
    reference_class = RemoteReference
    observer_class = CacheObserver

    def make_call(self, maker: Maker, name: str, options: CallOptions) -> Call:
        return Call(maker, name)

    def check_room(self) -> None:
        pass

    def call_was_made(self, call: Call, *, one_way: bool) -> None:
        pass

    def knock(self) -> None:
        pass


class Sink(pb.Root):
    def remote_take(self, value: object) -> None:
        pass


class StockSink(stock_pb.Root):  # type: ignore[misc]  # no annotations there
    def remote_take(self, value: object) -> None:
        pass


class Core:
    """Two brokers of our core, without a door."""

    def __init__(self) -> None:
        self._server = self._broker(listens=True)
        self._client = self._broker(listens=False)
        self._server.publish(Sink())
        for sender, receiver in [(self._server, self._client), (self._client, self._server)] * 2:
            receiver.receive_data(sender.data_to_send())
            receiver.next_event()
        self._root = self._client.root()

    def send(self, value: object) -> bytes:
        error = self._root.call("take", value).error
        if error is not None:
            raise error
        return self._client.data_to_send()

    def take_in(self, data: bytes) -> bytes:
        self._server.receive_data(data)
        call = self._server.next_event()
        assert isinstance(call, MethodCall)
        assert call.method is not None
        self._server.answer(call, call.method(*call.args, **call.kwargs))
        return self._server.data_to_send()

    def finish(self, answer: bytes) -> None:
        self._client.receive_data(answer)
        assert isinstance(self._client.next_event(), Answer)

    @staticmethod
    def _broker(*, listens: bool) -> Broker:
        return Broker(listens=listens, registry=pb.Registry(), policy=pb.Policy(), limits=pb.Limits(), door=Door())


class Twisted:
    """Two brokers for Twisted: those of Twisted itself, or of our door for it."""

    def __init__(self, module: Any, root: Any) -> None:
        self._client = module.PBClientFactory().buildProtocol(None)
        self._server = module.PBServerFactory(root).buildProtocol(None)
        self._to_client, self._to_server = StringTransport(), StringTransport()
        self._server.makeConnection(self._to_client)
        self._client.makeConnection(self._to_server)
        for _ in range(2):
            self._client.dataReceived(self._drain(self._to_client))
            self._server.dataReceived(self._drain(self._to_server))
        self._root = self._client.remoteForName("root")

    def send(self, value: object) -> bytes:
        self._root.callRemote("take", value)
        return self._drain(self._to_server)

    def take_in(self, data: bytes) -> bytes:
        self._server.dataReceived(data)
        return self._drain(self._to_client)

    def finish(self, answer: bytes) -> None:
        self._client.dataReceived(answer)

    @staticmethod
    def _drain(transport: Any) -> bytes:
        data: bytes = transport.value()
        transport.clear()
        return data


def timed(function: Callable[..., bytes], *args: object) -> tuple[float, bytes]:
    begin = time.perf_counter()
    result = function(*args)
    return (time.perf_counter() - begin) * 1000, result


def main() -> None:
    parser = argparse.ArgumentParser(description="Structures in the pb dialect, beside Twisted PB.")
    parser.add_argument("--repeats", type=int, default=15, help="paired runs of each structure (default: 15)")
    parser.add_argument("--door", action="store_true", help="measure the Twisted door, rather than the core alone")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    print(f"CPython {platform.python_version()}, Twisted {version('twisted')}, {repeats} paired runs; ms\n")
    print(f"{'structure':26}{'bytes':>9}{'send':>9}{'Twisted':>9}{'ratio':>7}{'take in':>10}{'Twisted':>9}{'ratio':>7}")
    ours: Core | Twisted = Twisted(door_pb, Sink()) if arguments.door else Core()
    theirs = Twisted(stock_pb, StockSink())
    for name, value in STRUCTURES.items():
        sends: list[tuple[float, float]] = []
        takes: list[tuple[float, float]] = []
        data = b""
        for _ in range(repeats):
            our_send, data = timed(ours.send, value)
            their_send, their_data = timed(theirs.send, value)
            assert len(data) == len(their_data), name
            our_take, our_answer = timed(ours.take_in, data)
            their_take, their_answer = timed(theirs.take_in, their_data)
            ours.finish(our_answer)
            theirs.finish(their_answer)
            sends.append((our_send, their_send))
            takes.append((our_take, their_take))
        cells = [f"{name:26}{len(data):>9,}"]
        for pairs, width in ((sends, 9), (takes, 10)):
            ratio = median(their / our for our, their in pairs)
            mine, other = median(our for our, _ in pairs), median(their for _, their in pairs)
            cells.append(f"{mine:>{width}.3f}{other:>9.3f}{ratio:>6.1f}x")
        print("".join(cells), flush=True)


if __name__ == "__main__":
    main()
