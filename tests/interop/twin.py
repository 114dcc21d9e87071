"""What the stock server offers (peers/server.py), offered by pellucid: the same methods, services and names."""

from __future__ import annotations

import asyncio
import collections
import gc
import io
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pellucid as pb
from tests.interop.peers import samples


class Signal:
    """Counts what happens, and tells when it has happened often enough."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    def happened(self) -> None:
        self.count += 1
        self._changed.set()

    async def when(self, times: int) -> int:
        while self.count < times:
            self._changed.clear()
            await self._changed.wait()
        return self.count


class Point(pb.Copyable, pb.RemoteCopy):
    described = True

    def __init__(self, x: object, y: object) -> None:
        self.x = x
        self.y = y

    def get_type_to_copy(self) -> str:
        return "interop.Point"


class Circle(pb.Copyable, pb.RemoteCopy):
    """Copied under the name of its class, which the stock peers have registered."""

    described = True

    def __init__(self, centre: object, radius: object) -> None:
        self.centre = centre
        self.radius = radius


class Letter(pb.Copyable, pb.RemoteCopy):
    described = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_type_to_copy(self) -> str:
        return "interop.Letter"

    def get_state_to_copy_for(self, perspective: Any) -> dict[str, object]:
        return {"text": self.text, "reader": getattr(perspective, "name", None)}


class Unregistered(pb.Copyable):
    """Copied under a tag that no receiver knows."""

    def get_type_to_copy(self) -> str:
        return "interop.Unregistered"


class Plain:
    """An instance without a flavor, of a class that is called the same at the stock peers."""

    __module__ = "stock_flavors"
    described = True

    def __init__(self, value: object = 1) -> None:
        self.value = value


class Pond(pb.Cacheable):
    def __init__(self, **state: object) -> None:
        self.state = dict(state)
        self.observers: list[pb.Observer] = []
        self.perspectives: list[Any] = []
        self.stopped = Signal()

    def get_type_to_copy(self) -> str:
        return "interop.Pond"

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, object]:
        self.observers.append(observer)
        self.perspectives.append(perspective)
        return dict(self.state)

    async def set(self, key: str, value: object) -> list[object]:
        """Change the state, tell every observer, and return what they answer."""
        self.state[key] = value
        return [await call for call in [observer.call("set", key, value) for observer in self.observers]]

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.remove(observer)
        self.stopped.happened()


class PondCache(pb.RemoteCache):
    described = True
    not_described = ("updates",)

    updates: list[tuple[str, object]]

    def set_copyable_state(self, state: object) -> None:
        super().set_copyable_state(state)
        self.updates = []

    def observe_set(self, key: str, value: object) -> str:
        setattr(self, key, value)
        self.updates.append((key, value))
        return f"saw {key}"


class OutOfStock(pb.Error):
    """Expected, and called the same at the stock peers."""

    __module__ = "stock_flavors"


class RichError(pb.Error, pb.Copyable, pb.RemoteCopy):
    """An error that is sent as itself, with its state."""

    described = True

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code

    def get_type_to_copy(self) -> str:
        return "interop.RichError"


class Thing(pb.Referenceable):
    def __init__(self) -> None:
        self.total = 0

    def remote_ping(self) -> str:
        return "pong"

    def remote_add(self, number: int) -> int:
        self.total += number
        return self.total

    def remote_itself(self) -> Thing:
        return self


class Document(pb.Viewable):
    def view_reader(self, perspective: Any, *args: object, **kw: object) -> list[object]:
        return [getattr(perspective, "name", None), list(args), kw]

    def view_letter(self, perspective: Any) -> Letter:
        return Letter("seen through a viewpoint")


def make_registry() -> pb.Registry:
    registry = pb.Registry()
    registry.register(Point, "interop.Point")
    registry.register(Letter, "interop.Letter")
    registry.register(PondCache, "interop.Pond")
    registry.register(RichError, "interop.RichError")
    registry.register(Circle, Circle)
    registry.register(Circle, "stock_flavors.Circle")
    return registry


REGISTRY = make_registry()
TRUSTING = pb.Policy(named=[collections.OrderedDict, json.dumps, json], instances=[Plain])


def table_sizes(connection: pb.Connection) -> dict[str, int]:
    """How much a connection remembers of its peer."""
    gc.collect()
    books = connection.broker.books
    return {
        "local": len(books.exports),
        "cached by the peer": len(books.cache_exports),
        "cached here": len(books.cache_imports),
        "unanswered": len(books.pending),
    }


class Shared:
    """What outlives a connection."""

    def __init__(self) -> None:
        self.ponds: dict[str, Pond] = {}
        self.signals: dict[str, Signal] = {}
        self.running: Counter[str] = Counter()

    def signal(self, name: str) -> Signal:
        return self.signals.setdefault(name, Signal())

    def pond(self, name: str) -> Pond:
        if name not in self.ponds:
            self.ponds[name] = Pond(name=name, ducks=2)
        return self.ponds[name]


class Session(pb.Referenceable):
    """The root object of one connection."""

    def __init__(self, shared: Shared, connection: pb.Connection) -> None:
        self.shared = shared
        self.connection = connection
        self.thing = Thing()
        self.document = Document()
        self.held: list[Any] = []
        self.waiting: dict[str, asyncio.Future[object]] = {}
        self.watched = ""
        connection.notify_on_disconnect(self.disconnected)

    def disconnected(self) -> None:
        self.held.clear()
        if self.watched:
            self.shared.signal(self.watched).happened()

    # Values

    def remote_echo(self, value: object) -> object:
        return value

    def remote_check(self, name: str) -> object:
        return samples.SAMPLES[name]()

    def remote_describe(self, value: object) -> str:
        return samples.describe(value)

    def remote_keywords(self, *args: object, **kw: object) -> str:
        return samples.describe([list(args), kw])

    def remote_order(self, value: dict[str, object]) -> list[str]:
        return list(value)

    def remote_point(self) -> Point:
        return Point(1, [2.5, "y"])

    def remote_circle(self) -> Circle:
        return Circle(Point(0, 0), 3)

    def remote_circles(self) -> list[Circle]:
        centre = Point(0, 0)
        return [Circle(centre, 1), Circle(centre, 2)]

    def remote_cyclic_point(self) -> Point:
        point = Point(1, None)
        point.y = [point]
        return point

    def remote_letter(self) -> Letter:
        return Letter("for anyone")

    def remote_unregistered(self) -> Unregistered:
        return Unregistered()

    def remote_plain(self) -> Plain:
        return Plain()

    def remote_named(self, kind: str) -> object:
        return {"class": collections.OrderedDict, "function": json.dumps, "module": json}[kind]

    def remote_big(self, size: int) -> bytes:
        return b"x" * size

    # Calls

    def remote_count(self, name: str) -> int:
        self.shared.running[name] += 1
        return self.shared.running[name]

    def remote_counted(self, name: str) -> int:
        return self.shared.running[name]

    async def remote_wait(self, name: str) -> object:
        self.waiting[name] = asyncio.get_running_loop().create_future()
        self.shared.signal(f"waiting {name}").happened()
        return await self.waiting[name]

    def remote_finish(self, name: str, value: object) -> None:
        self.waiting.pop(name).set_result(value)

    async def remote_when(self, signal: str, times: int) -> int:
        return await self.shared.signal(signal).when(times)

    async def remote_never(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def remote_call(self, target: pb.RemoteReference, method: str, *args: Any, **kw: Any) -> object:
        return await target.call(method, *args, **kw)

    async def remote_outcome(self, target: pb.RemoteReference, method: str, *args: Any) -> dict[str, object]:
        return await outcome(target, method, *args)

    # References

    def remote_thing(self) -> Thing:
        return self.thing

    def remote_things(self, number: int) -> list[Thing]:
        return [Thing() for _ in range(number)]

    def remote_is_thing(self, value: object) -> bool:
        return value is self.thing

    def remote_viewpoint(self, name: str) -> pb.Viewpoint:
        return pb.Viewpoint(Perspective(name), self.document)

    def remote_hold(self, *held: Any) -> int:
        self.held.extend(held)
        return len(self.held)

    def remote_holding(self, value: object) -> bool:
        return value in self.held

    def remote_give_back(self) -> list[Any]:
        return list(self.held)

    async def remote_call_held(self, method: str, *args: Any) -> object:
        return await self.held[-1].call(method, *args)

    def remote_forget(self) -> None:
        self.held.clear()

    def remote_tables(self) -> dict[str, int]:
        return table_sizes(self.connection)

    # Caches

    def remote_pond(self, name: str) -> Pond:
        return self.shared.pond(name)

    def remote_ponds(self, name: str) -> list[Pond]:
        return [self.shared.pond(name), self.shared.pond(name)]

    def remote_is_pond(self, name: str, value: object) -> bool:
        return value is self.shared.pond(name)

    async def remote_change_pond(self, name: str, key: str, value: object) -> list[object]:
        return await self.shared.pond(name).set(key, value)

    def remote_observers(self, name: str) -> int:
        return len(self.shared.pond(name).observers)

    async def remote_when_stopped(self, name: str, times: int) -> int:
        return await self.shared.pond(name).stopped.when(times)

    def remote_describe_held(self) -> str:
        return samples.describe(self.held[-1])

    def remote_held_updates(self) -> list[list[object]]:
        return [list(update) for update in self.held[-1].updates]

    # Errors

    def remote_raise(self, kind: str) -> object:
        raise make_error(kind)

    async def remote_raise_later(self, kind: str) -> object:
        await asyncio.sleep(0)
        raise make_error(kind)

    # Paging

    def remote_page_string(self, collector: pb.RemoteReference, size: int, chunk: int) -> None:
        # As Twisted's pagers do, it goes on after the method has returned.
        self.paging = asyncio.ensure_future(pb.send_pages(collector, samples.pages_of(size), page_bytes=chunk))

    async def remote_page_file(self, collector: pb.RemoteReference, size: int) -> None:
        await pb.send_pages(collector, io.BytesIO(samples.pages_of(size)))

    async def remote_collect_pages(self, target: pb.RemoteReference, method: str, *args: Any) -> list[object]:
        pages = await pb.get_all_pages(target, method, *args)
        return [[len(page) for page in pages], samples.pages_are_whole(pages)]

    # Ends

    def remote_watch_loss(self, name: str) -> None:
        self.watched = name

    async def remote_abort(self) -> None:
        self.connection.abort("asked for by the peer")
        await asyncio.get_running_loop().create_future()

    def remote_answer_and_close(self, value: object) -> object:
        self.closing = asyncio.ensure_future(self.connection.close())
        return value


class Perspective:
    """Stands for a caller where a viewpoint is made by hand."""

    def __init__(self, name: str) -> None:
        self.name = name


def make_error(kind: str) -> Exception:
    return ERRORS[kind]()


ERRORS: dict[str, Callable[[], Exception]] = {
    "expected": lambda: OutOfStock("no more ducks"),
    "pb.Error": lambda: pb.Error("plain"),
    "unexpected": lambda: ValueError("na\u00efve \U0001f600"),
    "type error": lambda: TypeError("not like this"),
    "no text": KeyError,
    "rich": lambda: RichError(7),
    "dead reference": lambda: pb.DeadReferenceError("a reference of the method's own"),
    "connection lost": lambda: pb.PBConnectionLost("a connection of the method's own"),
}


async def outcome(target: pb.RemoteReference, method: str, *args: Any) -> dict[str, object]:
    """What a call came to: {"result": ...}, or what is known of the error."""
    try:
        return {"result": samples.describe(await target.call(method, *args))}
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        return describe_error(error)


def describe_error(error: Exception) -> dict[str, object]:
    """What a caller learns of an error, in the words of the stock peers."""
    if isinstance(error, pb.RemoteError):
        return {"type": error.remote_type, "value": error.text, "expected": False}
    name = f"{type(error).__module__}.{type(error).__name__}"
    return {"type": name, "value": str(error), "expected": isinstance(error, pb.Error)}


class Avatar(pb.Avatar):
    def __init__(self, shared: Shared, name: str, mind: Any) -> None:
        self.shared = shared
        self.name = name
        self.mind = mind
        self.document = Document()

    def perspective_who(self) -> str:
        return self.name

    def perspective_echo(self, value: object) -> object:
        return value

    def perspective_mind(self) -> str:
        return samples.describe(self.mind)

    async def perspective_call_mind(self, method: str, *args: Any) -> object:
        return await self.mind.call(method, *args)

    def perspective_document(self) -> Document:
        return self.document

    def perspective_letter(self) -> Letter:
        return Letter("for an avatar")

    def perspective_fail(self) -> None:
        raise OutOfStock("nothing for you")

    async def perspective_when(self, signal: str, times: int) -> int:
        return await self.shared.signal(signal).when(times)


class Realm:
    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def request_avatar(self, avatar_id: str, mind: Any) -> tuple[Avatar, Any]:
        name = avatar_id or "anonymous"
        self.shared.signal(f"login {name}").happened()
        return Avatar(self.shared, name, mind), self.shared.signal(f"logout {name}").happened


def make_portal(shared: Shared, *, anonymous: bool) -> pb.Portal:
    users = pb.InMemoryPasswords(samples.USERS)
    return pb.Portal(Realm(shared), [users, pb.AllowAnonymous()] if anonymous else [users])


@asynccontextmanager
async def serving(**settings: Any) -> AsyncGenerator[dict[str, int]]:
    """Serve everything that the stock server offers; the ports by service."""
    shared = Shared()

    def session(connection: pb.Connection) -> Session:
        return Session(shared, connection)

    async with AsyncExitStack() as stack:

        async def serve(root: Any, **more: Any) -> int:
            server = pb.serve(root, "pb://127.0.0.1:0", registry=REGISTRY, **settings, **more)
            await stack.enter_async_context(server)
            return port_of(server)

        yield {
            "root": await serve(session),
            "unsafe": await serve(session, unsafe_tracebacks=True),
            "trusting": await serve(session, policy=TRUSTING),
            "portal": await serve(make_portal(shared, anonymous=True)),
            "members": await serve(make_portal(shared, anonymous=False)),
        }


def port_of(server: pb.Server) -> int:
    return int(server.urls[0].rpartition(":")[2])
