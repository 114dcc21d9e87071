"""Objects on the client's side: give the server one of ours to call.

Run it with ``python examples/twisted/callbacks/client.py`` while server.py runs.
"""

import argparse

from twisted.internet import reactor
from twisted.python import log

from pellucid.twisted import pb


class Two(pb.Referenceable):
    def remote_print(self, number):
        print("Two.print() called with", number)


def give(one, two):
    print("got One:", one)
    one.notifyOnDisconnect(lambda _: reactor.stop())
    print("giving it our two")
    return one.callRemote("takeTwo", two)


def got_none(reason):
    print("error getting first object", reason)
    reactor.stop()


def main(port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    done = factory.getRootObject()
    done.addCallbacks(give, got_none, (Two(),))
    done.addErrback(log.err)
    # Unlike reactor.stop(), this first sends what is still to be sent: our answer to the server's call.
    done.addCallback(lambda _: factory.disconnect())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Have the server call an object of ours.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    main(parser.parse_args().port)
