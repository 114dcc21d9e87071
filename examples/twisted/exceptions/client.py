"""Remote exceptions: an errback gets a Failure that tells of the one that was raised.

Run it with ``python examples/twisted/exceptions/client.py``, or with ``broken2`` at the end for the unexpected
exception, while server.py runs. (``trap`` tells exceptions apart: see ../trap.)
"""

import argparse

from twisted.internet import reactor
from twisted.python import log

from pellucid.twisted import pb


def call(one, method):
    return one.callRemote(method).addCallbacks(worked, failed)


def worked(_answer):
    print("erm, it wasn't *supposed* to work..")


def failed(reason):
    print("got remote Exception")
    print(" .__class__ =", reason.__class__)
    print(" .getErrorMessage() =", reason.getErrorMessage())
    print(" .type =", reason.type)


def main(method, port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    done = factory.getRootObject()
    done.addCallback(call, method)
    done.addErrback(log.err)
    done.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Call a method that fails.")
    parser.add_argument("method", nargs="?", choices=["broken", "broken2"], default="broken", help="what to call")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    options = parser.parse_args()
    main(options.method, options.port)
