"""What may cross, and how, with the names of twisted.spread.flavors. The classes are those of ``import pellucid``."""

from __future__ import annotations

from typing import Any

from pellucid.errors import NoSuchMethod
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.referenceable import Referenceable, Root, Viewable, Viewpoint
from pellucid.flavors.serializable import Serializable
from pellucid.twisted._codec import Unjellier
from pellucid.twisted._login import IPBRoot
from pellucid.twisted._references import RemoteCacheMethod, RemoteCacheObserver
from pellucid.twisted.jelly import (
    Jellyable,
    Unjellyable,
    getInstanceState,
    setInstanceState,
    setUnjellyableFactoryForClass,
    setUnjellyableForClass,
    setUnjellyableForClassTree,
    unjellyableRegistry,
)

__all__ = [
    "Cacheable",
    "Copyable",
    "IPBRoot",
    "Jellyable",
    "NoSuchMethod",
    "Referenceable",
    "RemoteCache",
    "RemoteCacheMethod",
    "RemoteCacheObserver",
    "RemoteCopy",
    "Root",
    "Serializable",
    "Unjellyable",
    "ViewPoint",
    "Viewable",
    "cache_atom",
    "cached_atom",
    "copyTags",
    "copy_atom",
    "getInstanceState",
    "remote_atom",
    "setCopierForClass",
    "setCopierForClassTree",
    "setFactoryForClass",
    "setInstanceState",
    "setUnjellyableFactoryForClass",
    "setUnjellyableForClass",
    "setUnjellyableForClassTree",
    "unjellyCached",
    "unjellyLCache",
    "unjellyLocal",
    "unjellyableRegistry",
]

ViewPoint = Viewpoint

setCopierForClass = setUnjellyableForClass
setCopierForClassTree = setUnjellyableForClassTree
setFactoryForClass = setUnjellyableFactoryForClass
copyTags = unjellyableRegistry

copy_atom = b"copy"
cache_atom = b"cache"
cached_atom = b"cached"
remote_atom = b"remote"


def unjellyCached(unjellier: Unjellier, unjellyList: Any) -> Any:
    """The copy of a cacheable that has arrived before."""
    return unjellier.unjelly([b"cached", unjellyList[1]])


def unjellyLCache(unjellier: Unjellier, unjellyList: Any) -> Any:
    """A cacheable of ours whose copy comes home."""
    return unjellier.unjelly([b"lcache", unjellyList[1]])


def unjellyLocal(unjellier: Unjellier, unjellyList: Any) -> Any:
    """An object of ours that comes home."""
    return unjellier.unjelly([b"local", unjellyList[1]])
