"""A client of the echo server.

Run it with ``python examples/twisted/echo/client.py`` while server.py runs.
"""

import argparse

from twisted.internet import reactor

from pellucid.twisted import pb


def main(port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    said = factory.getRootObject()
    said.addCallback(lambda root: root.callRemote("echo", "hello network"))
    said.addCallback(lambda echo: "server echoed: " + echo)
    said.addErrback(lambda reason: "error: " + str(reason.value))
    said.addCallback(print)
    said.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say something to the echo server.")
    parser.add_argument("-p", "--port", type=int, default=8789, help="where the server listens")
    main(parser.parse_args().port)
