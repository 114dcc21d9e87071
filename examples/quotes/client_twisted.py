"""Get a quote, as a program that was written for Twisted's own Perspective Broker does: it knows nothing of pellucid.

Run it with ``python examples/quotes/client_twisted.py`` while server.py runs. It needs ``pip install twisted``.
"""

import argparse

from twisted.internet import reactor, task
from twisted.spread import pb

parser = argparse.ArgumentParser(description="Get a quote from the quote server.")
parser.add_argument("-p", "--port", type=int, default=8787, help="where the server listens")
port = parser.parse_args().port


async def main(_reactor):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    root = await factory.getRootObject()
    print(await root.callRemote("nextQuote"))
    factory.disconnect()


task.react(main)
