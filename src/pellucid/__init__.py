"""Remote objects for asyncio, translucently: Perspective Broker for today's Python.

Publish an object with `serve`, get hold of it with `connect`, call it with ``await reference.call("name", ...)``.
Names are loaded when they are first used, so that ``import pellucid.core.broker`` loads no event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.asyncio.client import connect
    from pellucid.asyncio.connection import Connection
    from pellucid.asyncio.current import CurrentCall, current_call
    from pellucid.asyncio.facets import facet
    from pellucid.asyncio.paging import PageCollector, get_all_pages, send_pages
    from pellucid.asyncio.reconnecting import Reconnecting, reconnecting
    from pellucid.asyncio.run import run
    from pellucid.asyncio.server import Server, serve
    from pellucid.asyncio.threads import in_thread
    from pellucid.asyncio.tls import TLS
    from pellucid.auth import credentials
    from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, Checker, InMemoryPasswords
    from pellucid.auth.files import PasswordFile
    from pellucid.auth.keys import Decoys, PasswordKeeper, ScramKeys
    from pellucid.auth.portal import Portal, Realm
    from pellucid.auth.throttle import LoginThrottle
    from pellucid.core.caches import update_all
    from pellucid.core.calls import Call
    from pellucid.core.describing import describe
    from pellucid.core.gathering import gather
    from pellucid.core.references import Prepared, RemoteReference
    from pellucid.core.views import promised, reference_of
    from pellucid.errors import (
        CallCancelled,
        ConnectFailed,
        DeadlineExceeded,
        DeadReferenceError,
        Error,
        ForeignReference,
        InsecureJelly,
        InvalidArgument,
        LimitBroken,
        LimitExceeded,
        LocalProtocolError,
        LoginFailed,
        NoCommonDialect,
        NoSuchMethod,
        NotAReference,
        Overloaded,
        PBConnectionLost,
        ProtocolError,
        RateExceeded,
        RemoteError,
        RemoteProtocolError,
        Revoked,
        TooManyCalls,
        TooManyLogins,
        TooManyReferences,
        UnauthorizedLogin,
        UnhandledCredentials,
        UnprotectedLogin,
    )
    from pellucid.flavors.cacheable import Cacheable, Observer, RemoteCache
    from pellucid.flavors.copyable import Copyable, RemoteCopy
    from pellucid.flavors.describing import Described, Description, MethodDescription, ParameterDescription
    from pellucid.flavors.facets import Facet, FacetUse
    from pellucid.flavors.implementing import check_implements
    from pellucid.flavors.interfaces import Interface
    from pellucid.flavors.policy import Policy
    from pellucid.flavors.referenceable import Avatar, Referenceable, Root, Viewable, Viewpoint
    from pellucid.flavors.registry import DEFAULT_REGISTRY, Registry, copyable
    from pellucid.flavors.serializable import Unpersistable
    from pellucid.flavors.stubs import interface_source
    from pellucid.limits import Limits, Usage

_HOMES = {
    "pellucid.asyncio.client": "connect",
    "pellucid.asyncio.connection": "Connection",
    "pellucid.asyncio.current": "CurrentCall current_call",
    "pellucid.asyncio.facets": "facet",
    "pellucid.asyncio.paging": "PageCollector get_all_pages send_pages",
    "pellucid.asyncio.reconnecting": "Reconnecting reconnecting",
    "pellucid.asyncio.run": "run",
    "pellucid.asyncio.server": "Server serve",
    "pellucid.asyncio.threads": "in_thread",
    "pellucid.asyncio.tls": "TLS",
    "pellucid.auth.checkers": "ANONYMOUS AllowAnonymous Checker InMemoryPasswords",
    "pellucid.auth.files": "PasswordFile",
    "pellucid.auth.keys": "Decoys PasswordKeeper ScramKeys",
    "pellucid.auth.portal": "Portal Realm",
    "pellucid.auth.throttle": "LoginThrottle",
    "pellucid.core.caches": "update_all",
    "pellucid.core.calls": "Call",
    "pellucid.core.describing": "describe",
    "pellucid.core.gathering": "gather",
    "pellucid.core.references": "Prepared RemoteReference",
    "pellucid.core.views": "promised reference_of",
    "pellucid.errors": "CallCancelled ConnectFailed DeadReferenceError DeadlineExceeded Error ForeignReference "
    "InsecureJelly InvalidArgument LimitBroken LimitExceeded LocalProtocolError LoginFailed NoCommonDialect "
    "NoSuchMethod NotAReference Overloaded PBConnectionLost ProtocolError RateExceeded RemoteError "
    "RemoteProtocolError Revoked TooManyCalls TooManyLogins TooManyReferences UnauthorizedLogin UnhandledCredentials "
    "UnprotectedLogin",
    "pellucid.flavors.cacheable": "Cacheable Observer RemoteCache",
    "pellucid.flavors.copyable": "Copyable RemoteCopy",
    "pellucid.flavors.describing": "Described Description MethodDescription ParameterDescription",
    "pellucid.flavors.facets": "Facet FacetUse",
    "pellucid.flavors.implementing": "check_implements",
    "pellucid.flavors.interfaces": "Interface",
    "pellucid.flavors.policy": "Policy",
    "pellucid.flavors.referenceable": "Avatar Referenceable Root Viewable Viewpoint",
    "pellucid.flavors.registry": "DEFAULT_REGISTRY Registry copyable",
    "pellucid.flavors.serializable": "Unpersistable",
    "pellucid.flavors.stubs": "interface_source",
    "pellucid.limits": "Limits Usage",
}

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "credentials":
        value: Any = import_module("pellucid.auth.credentials")
    elif name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, "credentials"})


__all__ = [
    "ANONYMOUS",
    "DEFAULT_REGISTRY",
    "TLS",
    "AllowAnonymous",
    "Avatar",
    "Cacheable",
    "Call",
    "CallCancelled",
    "Checker",
    "ConnectFailed",
    "Connection",
    "Copyable",
    "CurrentCall",
    "DeadReferenceError",
    "DeadlineExceeded",
    "Decoys",
    "Described",
    "Description",
    "Error",
    "Facet",
    "FacetUse",
    "ForeignReference",
    "InMemoryPasswords",
    "InsecureJelly",
    "Interface",
    "InvalidArgument",
    "LimitBroken",
    "LimitExceeded",
    "Limits",
    "LocalProtocolError",
    "LoginFailed",
    "LoginThrottle",
    "MethodDescription",
    "NoCommonDialect",
    "NoSuchMethod",
    "NotAReference",
    "Observer",
    "Overloaded",
    "PBConnectionLost",
    "PageCollector",
    "ParameterDescription",
    "PasswordFile",
    "PasswordKeeper",
    "Policy",
    "Portal",
    "Prepared",
    "ProtocolError",
    "RateExceeded",
    "Realm",
    "Reconnecting",
    "Referenceable",
    "Registry",
    "RemoteCache",
    "RemoteCopy",
    "RemoteError",
    "RemoteProtocolError",
    "RemoteReference",
    "Revoked",
    "Root",
    "ScramKeys",
    "Server",
    "TooManyCalls",
    "TooManyLogins",
    "TooManyReferences",
    "UnauthorizedLogin",
    "UnhandledCredentials",
    "Unpersistable",
    "UnprotectedLogin",
    "Usage",
    "Viewable",
    "Viewpoint",
    "check_implements",
    "connect",
    "copyable",
    "credentials",
    "current_call",
    "describe",
    "facet",
    "gather",
    "get_all_pages",
    "in_thread",
    "interface_source",
    "promised",
    "reconnecting",
    "reference_of",
    "run",
    "send_pages",
    "serve",
    "update_all",
]
