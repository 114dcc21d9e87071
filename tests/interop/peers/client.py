"""A stock Twisted PB client: reads commands as lines of JSON from stdin, and prints one line of JSON for each.

A command is ``{"scenario": "echo", "dialect": "pb", "ports": {"root": 4711, ...}}``; the answer is ``{"result": ...}``,
or ``{"error": "traceback"}`` where the scenario itself failed. The scenarios are the functions marked `scenario`; each
says what the client saw, and judges nothing. Ports are named by the services of the stock server (server.py).

It runs on Python 2.7 as well; hence scenarios are generators that yield Deferreds, and none returns anything.
"""

from __future__ import unicode_literals

import collections
import gc
import io
import json
import traceback

import samples
import stock_flavors as flavors
from compat import say
from server import describe_failure, raise_kind
from twisted.cred.credentials import Anonymous, UsernamePassword
from twisted.internet import defer, reactor, stdio
from twisted.protocols.basic import LineReceiver
from twisted.spread import pb, util

SECONDS = 20
"""A scenario that takes longer loses its connections, and so ends."""

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = defer.inlineCallbacks(function)
    return function


class Link:
    """One connection, and what its client sees."""

    def __init__(self, root):
        self.root = root
        self.broker = root.broker
        self.call = root.callRemote

    def outcome(self, name, *args):
        return outcome(self.call, name, *args)

    def lost(self):
        """Fires after everything that was to be told of the loss before now."""
        lost = defer.Deferred()
        self.broker.notifyOnDisconnect(lambda: lost.callback(None))
        return lost

    def tables(self):
        gc.collect()
        return flavors.table_sizes(self.broker)

    @defer.inlineCallbacks
    def settle(self, wanted):
        """Until the table sizes here are as `wanted`, or for so many round trips that they never will be."""
        for _ in range(200):
            if self.tables() == wanted:
                break
            yield self.call("echo", 0)


class Client:
    """What a scenario has to hand."""

    def __init__(self, dialect, ports, options):
        self.dialect = dialect
        self.ports = ports
        self.options = options
        self.connectors = []
        self.seen = None

    def saw(self, facts):
        """This is what the scenario has come to."""
        self.seen = facts

    def factory(self, service="root", **settings):
        """A factory whose connection is under way."""
        factory = pb.PBClientFactory(**settings)
        factory.protocol = flavors.speaking(self.dialect, pb.Broker)
        self.connectors.append(reactor.connectTCP("127.0.0.1", self.ports[service], factory))
        return factory

    def connect(self, service="root", **settings):
        return self.factory(service, **settings).getRootObject().addCallback(Link)

    def login(self, service, credentials, mind=None):
        return self.factory(service).login(credentials, mind)

    def close(self):
        for connector in self.connectors:
            connector.disconnect()


def outcome(call, *args):
    """What a call came to: {"result": ...}, or what the errback learns of the failure."""
    return defer.maybeDeferred(call, *args).addCallbacks(
        lambda result: {"result": samples.describe(result)}, describe_failure
    )


class Raising(pb.Referenceable):
    """Fails when the server calls it."""

    def remote_raise(self, kind):
        return raise_kind(kind)

    def remote_raise_later(self, kind):
        return defer.maybeDeferred(raise_kind, kind)


class Paging(pb.Referenceable):
    """Pages out to the server."""

    def remote_page_string(self, collector, size, chunk):
        util.StringPager(collector, samples.pages_of(size), chunk)

    def remote_page_file(self, collector, size):
        util.FilePager(collector, io.BytesIO(samples.pages_of(size)))


class Mind(pb.Referenceable):
    def __init__(self):
        self.told = []

    def remote_tell(self, words):
        self.told.append(words)
        return "told " + words


# Values


@scenario
def dialect(client):
    link = yield client.connect()
    yield link.call("echo", 0)
    client.saw(link.broker.currentDialect.decode("ascii"))


@scenario
def check(client):
    link = yield client.connect()
    facts = {}
    for name in samples.SAMPLES:
        facts[name] = samples.describe((yield link.call("check", name)))
    client.saw(facts)


@scenario
def describe(client):
    link = yield client.connect()
    facts = {}
    for name, make in samples.SAMPLES.items():
        facts[name] = yield link.call("describe", make())
    client.saw(facts)


@scenario
def echo(client):
    link = yield client.connect()
    facts = {}
    for name, make in samples.SAMPLES.items():
        facts[name] = samples.describe((yield link.call("echo", make())))
    client.saw(facts)


@scenario
def order(client):
    """The order in which the keys of a dict arrive, there and back here."""
    link = yield client.connect()
    ordered = {"z": 1, "a": 2, "m": 3}
    client.saw([(yield link.call("order", ordered)), list((yield link.call("echo", ordered)))])


@scenario
def keywords(client):
    link = yield client.connect()
    client.saw(
        [
            (yield link.call("keywords")),
            (yield link.call("keywords", 1, "two", name="Bob", count=12)),
            (yield link.call("keywords", method="m", args=(1,), kw={}, broker=None, message=b"x", timeout=1.5)),
            (yield link.call("keywords", **{"na\u00efve": 1, "with space": 2, "class": 3, "": 4})),
        ]
    )


@scenario
def copyables(client):
    link = yield client.connect()
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
    facts = {"received": [], "sent": [], "echoed": []}
    for name in "point", "circle", "circles", "cyclic_point", "letter":
        facts["received"].append(samples.describe((yield link.call(name))))
    for value in sent:
        facts["sent"].append((yield link.call("describe", value)))
        facts["echoed"].append(samples.describe((yield link.call("echo", value))))
    client.saw(facts)


@scenario
def refused(client):
    """What may not cross, offered by a stock client: functions and modules it can't even encode."""
    link = yield client.connect(client.options.get("service", "root"))
    client.saw(
        {
            "class": (yield link.outcome("describe", collections.OrderedDict)),
            "function": (yield link.outcome("describe", json.dumps)),
            "module": (yield link.outcome("describe", json)),
            "instance": (yield link.outcome("describe", flavors.Plain())),
            "unregistered": (yield link.outcome("describe", flavors.Unregistered())),
            "alive": (yield link.outcome("echo", "alive")),
        }
    )


@scenario
def refused_by_the_server(client):
    """What may not cross, asked of the server. A stock server sends some of it, and a stock client drops the link."""
    link = yield client.connect()
    client.saw(
        {
            "class": (yield link.outcome("named", "class")),
            "function": (yield link.outcome("named", "function")),
            "module": (yield link.outcome("named", "module")),
            "instance": (yield link.outcome("plain")),
            "alive": (yield link.outcome("echo", "alive")),
        }
    )


@scenario
def allowed(client):
    """The same with rules on both sides that let it through."""
    link = yield client.connect("trusting", security=flavors.trusting_security())
    client.saw(
        {
            "class": (yield link.outcome("describe", collections.OrderedDict)),
            "same class": (yield link.call("echo", collections.OrderedDict)) is collections.OrderedDict,
            "class asked": (yield link.call("named", "class")) is collections.OrderedDict,
            "instance": (yield link.outcome("describe", flavors.Plain(5))),
            "instance asked": samples.describe((yield link.call("plain"))),
        }
    )


@scenario
def named_by_the_server(client):
    """Functions and modules that the server sends by name; a stock server can't."""
    link = yield client.connect("trusting", security=flavors.trusting_security())
    function, module = (yield link.call("named", "function")), (yield link.call("named", "module"))
    client.saw([function is json.dumps, module is json])


@scenario
def oversize(client):
    """A result that is larger than banana carries; a stock server drops the connection over it."""
    link = yield client.connect()
    big = yield link.outcome("big", 640 * 1024 + 1)
    client.saw({"big": big, "alive": (yield link.outcome("echo", "alive"))})


# Calls


@scenario
def answers_out_of_order(client):
    link = yield client.connect()
    finished = []
    calls = [link.call("wait", name).addCallback(finished.append) for name in "abc"]
    for name in "cab":
        yield link.call("finish", name, name + " is done")
    yield defer.gatherResults(calls)
    client.saw(finished)


@scenario
def one_way(client):
    link = yield client.connect()
    name = client.options["name"]
    promise = link.root.callRemote("count", name, pbanswer=False)
    nobody = link.root.callRemote("raise", "expected", pbanswer=False)
    client.saw([promise is None, nobody is None, (yield link.call("counted", name))])


# References


@scenario
def references(client):
    link = yield client.connect()
    thing = yield link.call("thing")
    again = yield link.call("thing")
    mine = flavors.Thing()
    client.saw(
        {
            "equal": thing == again,
            "ping": (yield thing.callRemote("ping")),
            "add": [(yield thing.callRemote("add", 2)), (yield again.callRemote("add", 3))],
            "itself": (yield thing.callRemote("itself")) == thing,
            "home": (yield link.call("is_thing", thing)),
            "mine comes home": (yield link.call("echo", mine)) is mine,
            "inside": (yield link.call("echo", [{"thing": mine}]))[0]["thing"] is mine,
            "twice": [value is mine for value in (yield link.call("echo", [mine, mine]))],
            "two apart": [value is mine for value in (yield link.call("echo", [mine, flavors.Thing()]))],
        }
    )


@scenario
def release(client):
    """References that the client holds and drops: the sizes of the server's tables on the way."""
    link = yield client.connect()
    sizes = [(yield link.call("tables"))]
    things = yield link.call("things", 50)
    same = yield defer.gatherResults([link.call("thing") for _ in range(3)])
    sizes.append((yield link.call("tables")))
    del things
    sizes.append((yield link.call("tables")))
    del same
    sizes.append((yield link.call("tables")))
    client.saw([sizes_of["local"] for sizes_of in sizes])


@scenario
def callbacks(client):
    link = yield client.connect()
    before = link.tables()
    mine = flavors.Thing()
    facts = {
        "call": (yield link.call("call", mine, "add", 2)),
        "hold": (yield link.call("hold", mine)),
        "call held": (yield link.call("call_held", "add", 3)),
        "same held": (yield link.call("holding", mine)),
        "given back": [value is mine for value in (yield link.call("give_back"))],
        "held": link.tables()["local"],
    }
    yield link.call("forget")
    yield link.settle(before)
    facts["forgotten"] = link.tables() == before
    client.saw(facts)


@scenario
def viewpoints(client):
    link = yield client.connect()
    ann = yield link.call("viewpoint", "ann")
    bob = yield link.call("viewpoint", "bob")
    letter = yield ann.callRemote("letter")
    readers = [(yield ann.callRemote("reader")), (yield bob.callRemote("reader", 1, two=2))]
    client.saw([readers, ann == bob, letter.reader, (yield outcome(ann.callRemote, "nothing"))])


# Caches


@scenario
def caches(client):
    """A cacheable of the server's."""
    link = yield client.connect()
    name = client.options["name"]
    before = link.tables()
    server_before = yield link.call("tables")
    pond = yield link.call("pond", name)
    facts = {"state": samples.describe(pond)}
    facts["answers"] = yield link.call("change_pond", name, "ducks", 3)
    facts["updated"] = samples.describe(pond)
    again = yield link.call("pond", name)
    facts["shared"] = again.__dict__ is pond.__dict__
    pair = yield link.call("ponds", name)
    facts["pair shared"] = pair[0].__dict__ is pair[1].__dict__ is pond.__dict__
    facts["home"] = yield link.call("is_pond", name, pond)
    facts["observers"] = yield link.call("observers", name)
    del pond, again, pair
    gc.collect()
    facts["stopped"] = yield link.call("when_stopped", name, 1)
    facts["observers at the end"] = yield link.call("observers", name)
    yield link.settle(before)
    facts["tables here"] = link.tables() == before
    facts["tables there"] = (yield link.call("tables")) == server_before
    facts["again"] = samples.describe((yield link.call("pond", name)))
    client.saw(facts)


@scenario
def my_caches(client):
    """A cacheable of the client's."""
    link = yield client.connect()
    before = link.tables()
    pond = flavors.Pond(name="mine", ducks=1)
    yield link.call("hold", pond)
    facts = {
        "held": (yield link.call("describe_held")),
        "observers": len(pond.observers),
        "answers": (yield pond.set("ducks", 5)),
        "updated": (yield link.call("describe_held")),
        "updates": (yield link.call("held_updates")),
    }
    yield link.call("hold", pond)
    facts["observed once"] = len(pond.observers)
    facts["home"] = [value is pond for value in (yield link.call("give_back"))]
    yield link.call("forget")
    facts["stopped"] = yield pond.stopped.when(1)
    facts["observers at the end"] = len(pond.observers)
    yield link.settle(before)
    facts["tables"] = link.tables() == before
    client.saw(facts)


@scenario
def two_observers(client):
    """One cacheable of the server's, watched over two connections."""
    name = client.options["name"]
    links = [(yield client.connect()), (yield client.connect())]
    ponds = yield defer.gatherResults([link.call("pond", name) for link in links])
    facts = {"observers": (yield links[0].call("observers", name))}
    facts["answers"] = yield links[0].call("change_pond", name, "ducks", 7)
    facts["updated"] = [pond.ducks for pond in ponds]
    del ponds[0]
    gc.collect()
    facts["stopped"] = yield links[1].call("when_stopped", name, 1)
    facts["answers to one"] = yield links[1].call("change_pond", name, "ducks", 8)
    facts["updated one"] = ponds[0].ducks
    second = yield links[0].call("pond", name)
    links[1].broker.transport.abortConnection()
    facts["stopped by loss"] = yield links[0].call("when_stopped", name, 2)
    facts["answers at the end"] = yield links[0].call("change_pond", name, "ducks", 9)
    facts["updated at the end"] = second.ducks
    client.saw(facts)


# Errors

KINDS = ("expected", "pb.Error", "unexpected", "type error", "no text", "dead reference", "connection lost")


@scenario
def errors(client):
    link = yield client.connect(client.options.get("service", "root"))
    facts = {}
    for how in "raise", "raise_later":
        for kind in KINDS:
            facts[how + " " + kind] = yield link.outcome(how, kind)
    facts["no such method"] = yield link.outcome("no_such_thing")
    facts["private"] = yield link.outcome("_private")
    facts["wrong arguments"] = yield link.outcome("describe")
    facts["invalid object"] = yield outcome(pb.RemoteReference(None, link.broker, 7777, 0).callRemote, "ping")
    facts["named object"] = yield outcome(link.broker.remoteForName("other").callRemote, "ping")
    facts["alive"] = yield link.outcome("echo", "alive")
    client.saw(facts)


@scenario
def rich_errors(client):
    """Errors that are sent as themselves."""
    link = yield client.connect()
    seen = []
    for how in "raise", "raise_later":
        yield link.call(how, "rich").addErrback(lambda failure: seen.append(samples.describe(failure.value)))
    client.saw(seen)


@scenario
def my_errors(client):
    """Errors of the client's own objects, as the server sees them: `outcome` is the server's description."""
    link = yield client.connect()
    facts = {}
    for how in "raise", "raise_later":
        for kind in KINDS:
            facts[how + " " + kind] = yield link.call("outcome", Raising(), how, kind)
    facts["no such method"] = yield link.call("outcome", Raising(), "no_such_thing")
    client.saw(facts)


@scenario
def error_handed_on(client):
    """An error of the client's object that the server's method lets through comes back as what it was."""
    link = yield client.connect()
    client.saw((yield link.outcome("call", Raising(), "raise", client.options["kind"])))


# Logging in


@scenario
def login_by_password(client):
    name = client.options["name"]
    mind = Mind()
    avatar = yield client.login("portal", password(name), mind)
    facts = {
        "who": (yield avatar.callRemote("who")),
        "echo": (yield avatar.callRemote("echo", {"a": (1, "two")})),
        "mind": (yield avatar.callRemote("call_mind", "tell", "hello")),
        "told": mind.told,
        "document": (yield (yield avatar.callRemote("document")).callRemote("reader")),
        "letter": samples.describe((yield avatar.callRemote("letter"))),
        "error": (yield outcome(avatar.callRemote, "fail")),
        "private": (yield outcome(avatar.callRemote, "nothing")),
    }
    broker = avatar.broker
    del avatar
    gc.collect()
    other = yield client.login("portal", password("bob"))
    facts["logged out"] = yield other.callRemote("when", "logout " + name, 1)
    facts["still connected"] = not broker.disconnected
    client.saw(facts)


@scenario
def login_refused(client):
    client.saw(
        {
            "wrong": (yield outcome(client.login, "portal", UsernamePassword(b"alice", b"wrong"))),
            "unknown": (yield outcome(client.login, "portal", UsernamePassword(b"nobody", b"wrong"))),
            "no anonymous": (yield outcome(client.login, "members", Anonymous())),
        }
    )


@scenario
def login_anonymously(client):
    avatar = yield client.login("portal", Anonymous(), "just a string")
    client.saw([(yield avatar.callRemote("who")), (yield avatar.callRemote("mind"))])


@scenario
def logout_by_loss(client):
    name = client.options["name"]
    avatar = yield client.login("portal", password(name), Mind())
    yield avatar.callRemote("who")
    other = yield client.login("portal", password("bob"))
    avatar.broker.transport.abortConnection()
    client.saw((yield other.callRemote("when", "logout " + name, 1)))


@scenario
def two_logins(client):
    """Two avatars over one connection."""
    factory = client.factory("portal")
    alice = yield factory.login(password("alice"), Mind())
    bob = yield factory.login(password("bob"), Mind())
    client.saw([(yield alice.callRemote("who")), (yield bob.callRemote("who"))])


def password(name):
    return UsernamePassword(name.encode("ascii"), samples.USERS[name].encode("ascii"))


# Paging

SIZES = (0, 1, 8192, 8193, 100000)


@scenario
def pages(client):
    link = yield client.connect()
    facts = {}
    for size in SIZES:
        for method, args in (("page_string", (size, 4096)), ("page_file", (size,))):
            whole = yield util.getAllPages(link.root, method, *args)
            facts["%s %d" % (method, size)] = [sum(map(len, whole)), samples.pages_are_whole(whole)]
    client.saw(facts)


@scenario
def my_pages(client):
    link = yield client.connect()
    paging = Paging()
    facts = {}
    for size in SIZES:
        for method, args in (("page_string", (size, 4096)), ("page_file", (size,))):
            sizes, whole = yield link.call("collect_pages", paging, method, *args)
            facts["%s %d" % (method, size)] = [sum(sizes), whole]
    client.saw(facts)


# Ends


@scenario
def server_aborts(client):
    """What happens here when the connection goes, and in which order."""
    link = yield client.connect()
    thing = yield link.call("thing")
    pond = flavors.Pond(name="mine")
    yield link.call("hold", pond)
    happened = []
    pond.stopped.when(1).addCallback(lambda _: happened.append("stopped observing"))
    link.broker.notifyOnDisconnect(lambda: happened.append("first notice"))
    thing.notifyOnDisconnect(lambda ref: happened.append("second notice" if ref is thing else "other notice"))
    lost = link.lost()
    never = link.call("never").addErrback(lambda failure: happened.append(failure.type.__name__))
    aborted = link.call("abort").addErrback(lambda failure: happened.append(failure.type.__name__))
    yield never
    yield aborted
    yield lost
    client.saw({"order": happened, "dead": (yield outcome(thing.callRemote, "ping"))})


@scenario
def server_closes(client):
    link = yield client.connect()
    lost = link.lost()
    client.saw(
        {
            "answer": (yield link.call("answer_and_close", "last words")),
            "lost": (yield lost),
            "dead": (yield link.outcome("echo", 1)),
        }
    )


@scenario
def server_sends_half_an_answer(client):
    link = yield client.connect()
    client.saw((yield link.outcome("half_an_answer")))


@scenario
def client_aborts(client):
    """The server's view of a client that vanishes with a call under way, held references and a watched cacheable."""
    name = client.options["name"]
    watching = yield client.connect()
    link = yield client.connect()
    yield link.call("watch_loss", "lost " + name)
    yield link.call("hold", flavors.Thing())
    pond = yield link.call("pond", name)
    waiting = link.call("wait", name)
    waiting.addErrback(lambda failure: None)
    yield watching.call("when", "waiting " + name, 1)
    link.broker.transport.abortConnection()
    facts = {
        "lost": (yield watching.call("when", "lost " + name, 1)),
        "stopped": (yield watching.call("when_stopped", name, 1)),
        "observers": (yield watching.call("observers", name)),
    }
    del pond
    client.saw(facts)


class Commands(LineReceiver):
    """The other end of stdin and stdout: one command at a time."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def lineReceived(self, line):
        self.perform(json.loads(line))

    @defer.inlineCallbacks
    def perform(self, command):
        client = Client(command["dialect"], command["ports"], command.get("options", {}))
        too_late = reactor.callLater(SECONDS, client.close)
        try:
            yield SCENARIOS[command["scenario"]](client)
            answer = {"result": client.seen}
        except Exception:
            answer = {"error": traceback.format_exc()}
        if too_late.active():
            too_late.cancel()
            client.close()
        say(answer)

    def connectionLost(self, reason=None):
        if reactor.running:
            reactor.stop()


if __name__ == "__main__":
    stdio.StandardIO(Commands(), stdout=2)
    reactor.run()
