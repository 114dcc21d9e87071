"""A stock Twisted PB client: reads commands as lines of JSON from stdin, and prints one line of JSON for each.

A command is ``{"scenario": "echo", "dialect": "pb", "ports": {"root": 4711, ...}}``; the answer is ``{"result": ...}``,
or ``{"error": "traceback"}`` where the scenario itself failed. The scenarios are the functions marked `scenario`; each
says what the client saw, and judges nothing. Ports are named by the services of the stock server (server.py).
"""

from __future__ import annotations

import collections
import gc
import io
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import samples
import stock_flavors as flavors
from server import describe_failure, raise_kind
from twisted.cred.credentials import Anonymous, UsernamePassword
from twisted.internet import defer, reactor, stdio
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.spread import pb, util

SECONDS = 20
"""A scenario that takes longer loses its connections, and so ends."""

if TYPE_CHECKING:
    Scenario = Callable[["Client"], Awaitable[object]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


class Link:
    """One connection, and what its client sees."""

    def __init__(self, root: pb.RemoteReference) -> None:
        self.root = root
        self.broker = root.broker

    def call(self, name: str, /, *args: Any, **kw: Any) -> defer.Deferred[Any]:
        return self.root.callRemote(name, *args, **kw)

    async def outcome(self, name: str, /, *args: Any, **kw: Any) -> dict[str, object]:
        return await outcome(self.call, name, *args, **kw)

    def lost(self) -> defer.Deferred[None]:
        """Fires after everything that was to be told of the loss before now."""
        lost: defer.Deferred[None] = defer.Deferred()
        self.broker.notifyOnDisconnect(lambda: lost.callback(None))
        return lost

    def tables(self) -> dict[str, int]:
        gc.collect()
        return flavors.table_sizes(self.broker)

    async def settled(self, wanted: dict[str, int]) -> dict[str, int]:
        """The table sizes here once they are as `wanted`, or after so many round trips that they never will be."""
        for _ in range(200):
            if self.tables() == wanted:
                break
            await self.call("echo", 0)
        return self.tables()


class Client:
    """What a scenario has to hand."""

    def __init__(self, dialect: str, ports: dict[str, int], options: dict[str, Any]) -> None:
        self.dialect = dialect
        self.ports = ports
        self.options = options
        self.connectors: list[Any] = []

    def factory(self, service: str = "root", **settings: Any) -> pb.PBClientFactory:
        """A factory whose connection is under way."""
        factory = pb.PBClientFactory(**settings)
        factory.protocol = flavors.speaking(self.dialect, pb.Broker)
        self.connectors.append(reactor.connectTCP("127.0.0.1", self.ports[service], factory))
        return factory

    async def connect(self, service: str = "root", **settings: Any) -> Link:
        return Link(await self.factory(service, **settings).getRootObject())

    def login(self, service: str, credentials: Any, mind: Any = None) -> defer.Deferred[Any]:
        return self.factory(service).login(credentials, mind)

    def close(self) -> None:
        for connector in self.connectors:
            connector.disconnect()


async def outcome(call: Callable[..., Awaitable[Any]], *args: Any, **kw: Any) -> dict[str, object]:
    """What a call came to: {"result": ...}, or what the errback learns of the failure."""
    return await defer.maybeDeferred(call, *args, **kw).addCallbacks(
        lambda result: {"result": samples.describe(result)}, describe_failure
    )


class Raising(pb.Referenceable):
    """Fails when the server calls it."""

    def remote_raise(self, kind: str) -> object:
        return raise_kind(kind)

    def remote_raise_later(self, kind: str) -> defer.Deferred[object]:
        return defer.maybeDeferred(raise_kind, kind)


class Paging(pb.Referenceable):
    """Pages out to the server."""

    def remote_page_string(self, collector: Any, size: int, chunk: int) -> None:
        util.StringPager(collector, samples.pages_of(size), chunk)

    def remote_page_file(self, collector: Any, size: int) -> None:
        util.FilePager(collector, io.BytesIO(samples.pages_of(size)))


class Mind(pb.Referenceable):
    def __init__(self) -> None:
        self.told: list[object] = []

    def remote_tell(self, text: str) -> str:
        self.told.append(text)
        return f"told {text}"


# Values


@scenario
async def dialect(client: Client) -> object:
    link = await client.connect()
    await link.call("echo", 0)
    return link.broker.currentDialect.decode()


@scenario
async def check(client: Client) -> object:
    link = await client.connect()
    return {name: samples.describe(await link.call("check", name)) for name in samples.SAMPLES}


@scenario
async def describe(client: Client) -> object:
    link = await client.connect()
    return {name: await link.call("describe", make()) for name, make in samples.SAMPLES.items()}


@scenario
async def echo(client: Client) -> object:
    link = await client.connect()
    return {name: samples.describe(await link.call("echo", make())) for name, make in samples.SAMPLES.items()}


@scenario
async def keywords(client: Client) -> object:
    link = await client.connect()
    return [
        await link.call("keywords"),
        await link.call("keywords", 1, "two", name="Bob", count=12),
        await link.call("keywords", method="m", args=(1,), kw={}, broker=None, message=b"x", timeout=1.5),
        await link.call("keywords", **{"na\u00efve": 1, "with space": 2, "class": 3, "": 4}),
    ]


@scenario
async def copyables(client: Client) -> object:
    link = await client.connect()
    shared = flavors.Point(0, 0)
    cyclic = flavors.Point(1, None)
    cyclic.y = [cyclic]
    sent = [
        flavors.Point(1, [2.5, "y"]),
        flavors.Circle(flavors.Point(0, 0), 3),
        [flavors.Circle(shared, 1), flavors.Circle(shared, 2)],
        cyclic,
        flavors.Letter("for anyone"),
    ]
    received = [await link.call(name) for name in ("point", "circle", "circles", "cyclic_point", "letter")]
    return {
        "received": [samples.describe(value) for value in received],
        "sent": [await link.call("describe", value) for value in sent],
        "echoed": [samples.describe(await link.call("echo", value)) for value in sent],
    }


@scenario
async def refused(client: Client) -> object:
    """What may not cross, offered by a stock client: functions and modules it can't even encode."""
    link = await client.connect()
    return {
        "class": await link.outcome("describe", collections.OrderedDict),
        "function": await link.outcome("describe", json.dumps),
        "module": await link.outcome("describe", json),
        "instance": await link.outcome("describe", flavors.Plain()),
        "unregistered": await link.outcome("describe", flavors.Unregistered()),
        "alive": await link.outcome("echo", "alive"),
    }


@scenario
async def refused_by_the_server(client: Client) -> object:
    """What may not cross, asked of the server. A stock server sends some of it, and a stock client drops the link."""
    link = await client.connect()
    return {
        "class": await link.outcome("named", "class"),
        "function": await link.outcome("named", "function"),
        "module": await link.outcome("named", "module"),
        "instance": await link.outcome("plain"),
        "alive": await link.outcome("echo", "alive"),
    }


@scenario
async def allowed(client: Client) -> object:
    """The same with rules on both sides that let it through."""
    link = await client.connect("trusting", security=flavors.trusting_security())
    return {
        "class": await link.outcome("describe", collections.OrderedDict),
        "same class": await link.call("echo", collections.OrderedDict) is collections.OrderedDict,
        "class asked": await link.call("named", "class") is collections.OrderedDict,
        "instance": await link.outcome("describe", flavors.Plain(5)),
        "instance asked": samples.describe(await link.call("plain")),
    }


@scenario
async def named_by_the_server(client: Client) -> object:
    """Functions and modules that the server sends by name; a stock server can't."""
    link = await client.connect("trusting", security=flavors.trusting_security())
    return [await link.call("named", "function") is json.dumps, await link.call("named", "module") is json]


@scenario
async def oversize(client: Client) -> object:
    """A result that is larger than banana carries; a stock server drops the connection over it."""
    link = await client.connect()
    return {"big": await link.outcome("big", 640 * 1024 + 1), "alive": await link.outcome("echo", "alive")}


# Calls


@scenario
async def answers_out_of_order(client: Client) -> object:
    link = await client.connect()
    finished: list[str] = []
    calls = [link.call("wait", name).addCallback(finished.append) for name in "abc"]
    for name in "cab":
        await link.call("finish", name, f"{name} is done")
    await defer.gatherResults(calls)
    return finished


@scenario
async def one_way(client: Client) -> object:
    link = await client.connect()
    name = client.options["name"]
    promise = link.root.callRemote("count", name, pbanswer=False)
    nobody = link.root.callRemote("raise", "expected", pbanswer=False)
    return [promise is None, nobody is None, await link.call("counted", name)]


# References


@scenario
async def references(client: Client) -> object:
    link = await client.connect()
    thing = await link.call("thing")
    again = await link.call("thing")
    mine = flavors.Thing()
    return {
        "equal": thing == again,
        "ping": await thing.callRemote("ping"),
        "add": [await thing.callRemote("add", 2), await again.callRemote("add", 3)],
        "itself": await thing.callRemote("itself") == thing,
        "home": await link.call("is_thing", thing),
        "mine comes home": await link.call("echo", mine) is mine,
        "inside": (await link.call("echo", [{"thing": mine}]))[0]["thing"] is mine,
        "twice": [value is mine for value in await link.call("echo", [mine, mine])],
        "two apart": [value is mine for value in await link.call("echo", [mine, flavors.Thing()])],
    }


@scenario
async def release(client: Client) -> object:
    """References that the client holds and drops: the sizes of the server's tables on the way."""
    link = await client.connect()
    sizes = [await link.call("tables")]
    things = await link.call("things", 50)
    same = [await link.call("thing") for _ in range(3)]
    sizes.append(await link.call("tables"))
    del things
    sizes.append(await link.call("tables"))
    del same
    sizes.append(await link.call("tables"))
    return [sizes_of["local"] for sizes_of in sizes]


@scenario
async def callbacks(client: Client) -> object:
    link = await client.connect()
    before = link.tables()
    mine = flavors.Thing()
    facts: dict[str, object] = {
        "call": await link.call("call", mine, "add", 2),
        "hold": await link.call("hold", mine),
        "call held": await link.call("call_held", "add", 3),
        "same held": await link.call("holding", mine),
        "given back": [value is mine for value in await link.call("give_back")],
        "held": link.tables()["local"],
    }
    await link.call("forget")
    facts["forgotten"] = await link.settled(before) == before
    return facts


@scenario
async def viewpoints(client: Client) -> object:
    link = await client.connect()
    ann = await link.call("viewpoint", "ann")
    bob = await link.call("viewpoint", "bob")
    letter = await ann.callRemote("letter")
    return [
        await ann.callRemote("reader"),
        await bob.callRemote("reader", 1, two=2),
        ann == bob,
        letter.reader,
        await outcome(ann.callRemote, "nothing"),
    ]


# Caches


@scenario
async def caches(client: Client) -> object:
    """A cacheable of the server's."""
    link = await client.connect()
    name = client.options["name"]
    before = link.tables()
    server_before = await link.call("tables")
    pond = await link.call("pond", name)
    facts: dict[str, object] = {"state": samples.describe(pond)}
    facts["answers"] = await link.call("change_pond", name, "ducks", 3)
    facts["updated"] = samples.describe(pond)
    again = await link.call("pond", name)
    facts["shared"] = again.__dict__ is pond.__dict__
    pair = await link.call("ponds", name)
    facts["pair shared"] = [each.__dict__ is pond.__dict__ for each in pair]
    facts["home"] = await link.call("is_pond", name, pond)
    facts["observers"] = await link.call("observers", name)
    del pond, again, pair
    gc.collect()
    facts["stopped"] = await link.call("when_stopped", name, 1)
    facts["observers at the end"] = await link.call("observers", name)
    facts["tables here"] = await link.settled(before) == before
    facts["tables there"] = await link.call("tables") == server_before
    facts["again"] = samples.describe(await link.call("pond", name))
    return facts


@scenario
async def my_caches(client: Client) -> object:
    """A cacheable of the client's."""
    link = await client.connect()
    before = link.tables()
    pond = flavors.Pond(name="mine", ducks=1)
    await link.call("hold", pond)
    facts: dict[str, object] = {
        "held": await link.call("describe_held"),
        "observers": len(pond.observers),
        "answers": await pond.set("ducks", 5),
        "updated": await link.call("describe_held"),
        "updates": await link.call("held_updates"),
    }
    await link.call("hold", pond)
    facts["observed once"] = len(pond.observers)
    facts["home"] = [value is pond for value in await link.call("give_back")]
    await link.call("forget")
    facts["stopped"] = await pond.stopped.when(1)
    facts["observers at the end"] = len(pond.observers)
    facts["tables"] = await link.settled(before) == before
    return facts


@scenario
async def two_observers(client: Client) -> object:
    """One cacheable of the server's, watched over two connections."""
    name = client.options["name"]
    links = [await client.connect(), await client.connect()]
    ponds = [await link.call("pond", name) for link in links]
    facts: dict[str, object] = {"observers": await links[0].call("observers", name)}
    facts["answers"] = sorted(await links[0].call("change_pond", name, "ducks", 7))
    facts["updated"] = [pond.ducks for pond in ponds]
    del ponds[0]
    gc.collect()
    facts["stopped"] = await links[1].call("when_stopped", name, 1)
    facts["answers to one"] = await links[1].call("change_pond", name, "ducks", 8)
    facts["updated one"] = ponds[0].ducks
    second = await links[0].call("pond", name)
    links[1].broker.transport.abortConnection()
    facts["stopped by loss"] = await links[0].call("when_stopped", name, 2)
    facts["answers at the end"] = await links[0].call("change_pond", name, "ducks", 9)
    facts["updated at the end"] = second.ducks
    return facts


# Errors

KINDS = ("expected", "pb.Error", "unexpected", "type error", "no text", "dead reference", "connection lost")


@scenario
async def errors(client: Client) -> object:
    link = await client.connect(client.options.get("service", "root"))
    facts = {f"{how} {kind}": await outcome(link.call, how, kind) for how in ("raise", "raise_later") for kind in KINDS}
    facts["no such method"] = await outcome(link.call, "no_such_thing")
    facts["private"] = await outcome(link.call, "_private")
    facts["wrong arguments"] = await outcome(link.call, "describe")
    facts["invalid object"] = await outcome(pb.RemoteReference(None, link.broker, 7777, 0).callRemote, "ping")
    facts["named object"] = await outcome(link.broker.remoteForName("other").callRemote, "ping")
    facts["alive"] = await link.outcome("echo", "alive")
    return facts


@scenario
async def rich_errors(client: Client) -> object:
    """Errors that are sent as themselves."""
    link = await client.connect()
    seen: list[str] = []
    for how in "raise", "raise_later":
        await link.call(how, "rich").addErrback(lambda failure: seen.append(samples.describe(failure.value)))
    return seen


@scenario
async def my_errors(client: Client) -> object:
    """Errors of the client's own objects, as the server sees them: `outcome` is the server's description."""
    link = await client.connect()
    facts = {
        f"{how} {kind}": await link.call("outcome", Raising(), how, kind)
        for how in ("raise", "raise_later")
        for kind in KINDS
    }
    facts["no such method"] = await link.call("outcome", Raising(), "no_such_thing")
    return facts


@scenario
async def error_handed_on(client: Client) -> object:
    """An error of the client's object that the server's method lets through comes back as what it was."""
    link = await client.connect()
    return [await outcome(link.call, "call", Raising(), "raise", kind) for kind in ("expected", "unexpected")]


# Logging in


@scenario
async def login_by_password(client: Client) -> object:
    name = client.options["name"]
    mind = Mind()
    avatar = await client.login("portal", password(name), mind)
    facts = {
        "who": await avatar.callRemote("who"),
        "echo": await avatar.callRemote("echo", {"a": (1, "two")}),
        "mind": await avatar.callRemote("call_mind", "tell", "hello"),
        "told": mind.told,
        "document": await (await avatar.callRemote("document")).callRemote("reader"),
        "letter": samples.describe(await avatar.callRemote("letter")),
        "error": await outcome(avatar.callRemote, "fail"),
        "private": await outcome(avatar.callRemote, "nothing"),
    }
    broker = avatar.broker
    del avatar
    gc.collect()
    other = await client.login("portal", password("bob"))
    facts["logged out"] = await other.callRemote("when", f"logout {name}", 1)
    facts["still connected"] = not broker.disconnected
    return facts


@scenario
async def login_refused(client: Client) -> object:
    return {
        "wrong": await outcome(client.login, "portal", UsernamePassword(b"alice", b"wrong")),
        "unknown": await outcome(client.login, "portal", UsernamePassword(b"nobody", b"wrong")),
        "no anonymous": await outcome(client.login, "members", Anonymous()),
    }


@scenario
async def login_anonymously(client: Client) -> object:
    avatar = await client.login("portal", Anonymous(), "just a string")
    return [await avatar.callRemote("who"), await avatar.callRemote("mind")]


@scenario
async def logout_by_loss(client: Client) -> object:
    name = client.options["name"]
    avatar = await client.login("portal", password(name), Mind())
    await avatar.callRemote("who")
    other = await client.login("portal", password("bob"))
    avatar.broker.transport.abortConnection()
    return await other.callRemote("when", f"logout {name}", 1)


@scenario
async def two_logins(client: Client) -> object:
    """Two avatars over one connection."""
    factory = client.factory("portal")
    avatars = [await factory.login(password(name), Mind()) for name in ("alice", "bob")]
    return [await avatar.callRemote("who") for avatar in avatars]


def password(name: str) -> UsernamePassword:
    return UsernamePassword(name.encode(), samples.USERS[name].encode())


# Paging

SIZES = (0, 1, 8192, 8193, 100_000)


@scenario
async def pages(client: Client) -> object:
    link = await client.connect()
    facts = {}
    for size in SIZES:
        for method, args in (("page_string", (size, 4096)), ("page_file", (size,))):
            whole = await util.getAllPages(link.root, method, *args)
            facts[f"{method} {size}"] = [sum(map(len, whole)), samples.pages_are_whole(whole)]
    return facts


@scenario
async def my_pages(client: Client) -> object:
    link = await client.connect()
    paging = Paging()
    facts = {}
    for size in SIZES:
        for method, args in (("page_string", (size, 4096)), ("page_file", (size,))):
            sizes, whole = await link.call("collect_pages", paging, method, *args)
            facts[f"{method} {size}"] = [sum(sizes), whole]
    return facts


# Ends


@scenario
async def server_aborts(client: Client) -> object:
    """What happens here when the connection goes, and in which order."""
    link = await client.connect()
    thing = await link.call("thing")
    pond = flavors.Pond(name="mine")
    await link.call("hold", pond)
    happened: list[str] = []
    pond.stopped.when(1).addCallback(lambda _: happened.append("stopped observing"))
    link.broker.notifyOnDisconnect(lambda: happened.append("first notice"))
    thing.notifyOnDisconnect(lambda ref: happened.append("second notice" if ref is thing else "other notice"))
    lost = link.lost()
    never = link.call("never").addErrback(lambda failure: happened.append(failure.type.__name__))
    aborted = link.call("abort").addErrback(lambda failure: happened.append(failure.type.__name__))
    await never
    await aborted
    await lost
    return {"order": happened, "dead": await outcome(thing.callRemote, "ping")}


@scenario
async def server_closes(client: Client) -> object:
    link = await client.connect()
    lost = link.lost()
    return {
        "answer": await link.call("answer_and_close", "last words"),
        "lost": await lost,
        "dead": await outcome(link.call, "echo", 1),
    }


@scenario
async def server_sends_half_an_answer(client: Client) -> object:
    link = await client.connect()
    return await outcome(link.call, "half_an_answer")


@scenario
async def client_aborts(client: Client) -> object:
    """The server's view of a client that vanishes with a call under way, held references and a watched cacheable."""
    name = client.options["name"]
    watching = await client.connect()
    link = await client.connect()
    await link.call("watch_loss", f"lost {name}")
    await link.call("hold", flavors.Thing())
    pond = await link.call("pond", name)
    waiting = link.call("wait", name)
    waiting.addErrback(lambda failure: None)
    await watching.call("when", f"waiting {name}", 1)
    link.broker.transport.abortConnection()
    facts = {
        "lost": await watching.call("when", f"lost {name}", 1),
        "stopped": await watching.call("when_stopped", name, 1),
        "observers": await watching.call("observers", name),
    }
    del pond
    return facts


class Commands(LineReceiver):
    """The other end of stdin and stdout: one command at a time."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def lineReceived(self, line: bytes) -> None:
        defer.ensureDeferred(self.perform(json.loads(line)))

    async def perform(self, command: dict[str, Any]) -> None:
        client = Client(command["dialect"], command["ports"], command.get("options", {}))
        too_late = reactor.callLater(SECONDS, client.close)
        try:
            answer = {"result": await SCENARIOS[command["scenario"]](client)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        if too_late.active():
            too_late.cancel()
            client.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if reactor.running:
            reactor.stop()


if __name__ == "__main__":
    stdio.StandardIO(Commands(), stdout=2)
    reactor.run()
