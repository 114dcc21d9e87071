"""Passing references: ask the first object for the second, and call that.

Run it with ``python examples/twisted/references/client.py`` while server.py runs.
"""

import argparse

from twisted.internet import reactor
from twisted.python import log

from pellucid.twisted import pb


def got_one(one):
    print("got first object:", one)
    print("asking it to getTwo")
    return one.callRemote("getTwo").addCallback(got_two)


def got_two(two):
    print("got second object:", two)
    print("telling it to do three(12)")
    return two.callRemote("three", 12)


def got_none(reason):
    print("error getting first object", reason)


def main(port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    done = factory.getRootObject()
    done.addCallbacks(got_one, got_none)
    done.addErrback(log.err)
    done.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a reference, and call what it refers to.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    main(parser.parse_args().port)
