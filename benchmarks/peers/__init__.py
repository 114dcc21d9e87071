"""The peers: their names and titles, and what each cannot do by its nature."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True)
class Peer:
    """One way to call another process, set up in one way."""

    name: str
    title: str
    module: str
    """The module of this package that has its server and its client."""
    variant: str = ""
    """How that module is to set it up."""
    lacks: dict[str, str] = field(default_factory=dict)
    """By name of a case: why it has none. What only shows when tried is not listed."""
    notes: dict[str, str] = field(default_factory=dict)
    """By name of a case: in what it differs from what others do there."""


_NO_OBJECTS = dict.fromkeys(["reference", "reference-pipelined", "references"], "no references to objects")
_NO_CALLBACKS = {"callback": "the server can't call its client", "observers": "no cacheables"}
_NO_BATCH = {"batch": "no batches"}
_NO_CONCURRENCY = dict.fromkeys(["in-flight", "in-flight-coroutine", "latency"], "one call at a time on a connection")
_NO_COROUTINES = dict.fromkeys(["sequential-coroutine", "in-flight-coroutine"], "methods can't be coroutines")
_NO_METHODS = dict.fromkeys(["sequential-coroutine", "in-flight-coroutine"], "no methods, only bytes echoed")
_NO_CACHEABLES = {"observers": "no cacheables"}
_NO_PIPELINING = {"reference-pipelined": "no pipelining"}

_BYTES_ONLY = {"structure": "bytes only", "latency": "no calls"}
_FLOOR = _NO_OBJECTS | _NO_CALLBACKS | _NO_BATCH | _NO_METHODS | _BYTES_ONLY
_CODEC_FLOOR = dict.fromkeys(
    "sequential sequential-coroutine in-flight in-flight-coroutine batch mebibyte reference reference-pipelined "
    "callback connections references observers latency".split(),
    "a floor for structures only",
)
_PIECES = {
    "mebibyte": "as two strings of 512 KiB: PB's end at 640 KiB",
    "latency": "100 MB as calls of 512 KiB, one after the other: PB's strings end at 640 KiB",
}
_PB = _NO_BATCH | _NO_PIPELINING

_LIST = [
    Peer("sockets", "blocking sockets", "floor_sockets", lacks=_FLOOR | _NO_CONCURRENCY),
    Peer("asyncio-floor", "raw asyncio protocol", "floor_protocols", "asyncio", _FLOOR),
    Peer("uvloop-floor", "raw uvloop protocol", "floor_protocols", "uvloop", _FLOOR),
    Peer("sockets-ormsgpack", "blocking sockets + ormsgpack", "floor_sockets", "ormsgpack", _CODEC_FLOOR),
    Peer("asyncio-floor-ormsgpack", "raw asyncio + ormsgpack", "floor_protocols", "asyncio ormsgpack", _CODEC_FLOOR),
    Peer("uvloop-floor-ormsgpack", "raw uvloop + ormsgpack", "floor_protocols", "uvloop ormsgpack", _CODEC_FLOOR),
    Peer("asyncio-rpc", "minimal RPC on asyncio", "minimal_rpc", "asyncio", _NO_OBJECTS | _NO_CALLBACKS | _NO_BATCH),
    Peer("uvloop-rpc", "minimal RPC on uvloop", "minimal_rpc", "uvloop", _NO_OBJECTS | _NO_CALLBACKS | _NO_BATCH),
    Peer("twisted-pb", "Twisted PB, as shipped", "twisted_pb", "", _PB, _PIECES | {"references": "limit raised"}),
    Peer(
        "twisted-pb-nodelay",
        "Twisted PB, TCP_NODELAY",
        "twisted_pb",
        "nodelay",
        _PB,
        _PIECES | {"references": "limit raised"},
    ),
    Peer(
        "foolscap",
        "Foolscap, always TLS",
        "foolscap",
        lacks=_NO_BATCH | _NO_CACHEABLES | {"reference-pipelined": "its promises wait for each other"},
    ),
    Peer(
        "pyro5",
        "Pyro5",
        "pyro5",
        lacks=_NO_COROUTINES | _NO_CONCURRENCY | _NO_PIPELINING | _NO_CACHEABLES,
        notes={
            "reference": "a TCP connection for each; never freed at the server",
            "references": "never freed at the server",
        },
    ),
    Peer(
        "rpyc",
        "RPyC, TCP_NODELAY",
        "rpyc",
        lacks=_NO_COROUTINES | _NO_BATCH | _NO_PIPELINING | _NO_CACHEABLES,
        notes={"structure": "pickled: RPyC's own way is to pass dicts by reference"},
    ),
    Peer(
        "grpc",
        "grpc.aio",
        "grpc_aio",
        lacks=_NO_OBJECTS | _NO_CALLBACKS | _NO_BATCH,
        notes={
            **dict.fromkeys(["sequential", "in-flight"], "plain methods run in a thread pool"),
            "structure": "ormsgpack as its serializer",
        },
    ),
    Peer(
        "pycapnp",
        "pycapnp",
        "capnproto",
        lacks=_NO_BATCH | _NO_CACHEABLES | dict.fromkeys(["sequential", "in-flight"], "methods are coroutines, always"),
        notes={"structure": "structs of a schema, turned into dicts on either side"},
    ),
    *(
        Peer(
            f"pellucid-{dialect}{'-uvloop' if loop else ''}",
            f"pellucid, {dialect}{', uvloop' if loop else ', asyncio'}",
            "pellucid_asyncio",
            f"{dialect}{loop}",
            notes=_PIECES if dialect == "pb" else {},
        )
        for dialect in ("pb", "native")
        for loop in ("", " uvloop")
    ),
    *(
        Peer(
            f"pellucid-twisted-{dialect}",
            f"pellucid.twisted, {dialect}",
            "pellucid_twisted",
            dialect,
            notes=_PIECES if dialect == "pb" else {},
        )
        for dialect in ("pb", "native")
    ),
]

PEERS: dict[str, Peer] = {peer.name: peer for peer in _LIST}
