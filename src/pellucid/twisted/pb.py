"""Perspective Broker for Twisted: the names of twisted.spread.pb, on the core of pellucid.

The flavors and the errors are the same classes that ``import pellucid`` shows.
"""

from __future__ import annotations

import secrets

from pellucid.auth.challenge import CHALLENGE_BYTES, respond
from pellucid.core.caches import update_all as update_all
from pellucid.errors import (
    DeadReferenceError,
    Error,
    NoSuchMethod,
    PBConnectionLost,
    ProtocolError,
)
from pellucid.flavors.referenceable import AsReferenceable, Avatar
from pellucid.twisted._connection import Broker
from pellucid.twisted._connection import Local as Local
from pellucid.twisted._factories import PBClientFactory, PBServerFactory
from pellucid.twisted._failures import CopiedFailure, CopyableFailure, failure2Copyable
from pellucid.twisted._failures import RemoteError as RemoteError
from pellucid.twisted._login import IPBRoot, IPerspective, IUsernameMD5Password
from pellucid.twisted._references import RemoteMethod, RemoteReference
from pellucid.twisted._references import gather as gather
from pellucid.twisted.flavors import (
    Cacheable,
    Copyable,
    Jellyable,
    Referenceable,
    RemoteCache,
    RemoteCacheObserver,
    RemoteCopy,
    Root,
    Serializable,
    Viewable,
    ViewPoint,
    copyTags,
    setCopierForClass,
    setCopierForClassTree,
    setFactoryForClass,
    setUnjellyableFactoryForClass,
    setUnjellyableForClass,
    setUnjellyableForClassTree,
)
from pellucid.twisted.jelly import InsecureJelly as InsecureJelly
from pellucid.twisted.jelly import globalSecurity as globalSecurity
from pellucid.twisted.jelly import jelly as jelly
from pellucid.twisted.jelly import unjelly as unjelly

__all__ = [
    "MAX_BROKER_REFS",
    "AsReferenceable",
    "Avatar",
    "Broker",
    "Cacheable",
    "CopiedFailure",
    "Copyable",
    "CopyableFailure",
    "DeadReferenceError",
    "Error",
    "IPBRoot",
    "IPerspective",
    "IUsernameMD5Password",
    "Jellyable",
    "NoSuchMethod",
    "PBClientFactory",
    "PBConnectionLost",
    "PBServerFactory",
    "ProtocolError",
    "Referenceable",
    "RemoteCache",
    "RemoteCacheObserver",
    "RemoteCopy",
    "RemoteMethod",
    "RemoteReference",
    "Root",
    "Serializable",
    "ViewPoint",
    "Viewable",
    "challenge",
    "copyTags",
    "failure2Copyable",
    "portno",
    "respond",
    "setCopierForClass",
    "setCopierForClassTree",
    "setFactoryForClass",
    "setUnjellyableFactoryForClass",
    "setUnjellyableForClass",
    "setUnjellyableForClassTree",
]

portno = 8787
"""The port of PB, unless a program chooses another."""

MAX_BROKER_REFS = 1024
"""How many objects a stock peer lets this side hold. Here it is no limit: see `pellucid.Limits`."""


def challenge() -> bytes:
    """Random bytes, for a peer to prove with that it knows a password."""
    return secrets.token_bytes(CHALLENGE_BYTES)
