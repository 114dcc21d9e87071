"""Get a quote.

Run it with ``python examples/twisted/quotes/client.py`` while the server runs: see twisted/plugins/qotd_plugin.py.
"""

import argparse

from twisted.internet import reactor

from pellucid.twisted import pb


def connected(root):
    root.callRemote("nextQuote").addCallbacks(succeeded, failed)


def succeeded(quote):
    print(quote.decode() if isinstance(quote, bytes) else quote)  # it is bytes where the server runs on Python 2
    reactor.stop()


def failed(_reason):
    print("Failed to obtain quote.")
    reactor.stop()


def main(port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    factory.getRootObject().addCallbacks(connected, failed)
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a quote from the quote server.")
    parser.add_argument("-p", "--port", type=int, default=pb.portno, help="where the server listens")
    main(parser.parse_args().port)
