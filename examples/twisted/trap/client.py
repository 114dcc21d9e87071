"""Telling failures apart: errbacks in a chain, each of which traps what it can deal with and passes on the rest.

Run it with ``python examples/twisted/trap/client.py`` while server.py runs; it shuts the server down.
"""

import argparse

from twisted.internet import defer, reactor
from twisted.python import log

from pellucid.twisted import jelly, pb


class MyException(pb.Error):
    pass


class MyOtherException(pb.Error):
    pass


class ScaryObject:
    """Has no flavor, so it may not cross."""


class Caller:
    """Makes the calls; what becomes of each is sorted out as ``try`` and ``except`` would.

    ::

        try:
            response = remote.fooMethod(arg)
        except jelly.InsecureJelly: ...
        except (MyException, MyOtherException): ...
        except Exception: ...
        else: ...
    """

    def __init__(self, remote):
        self.remote = remote

    def worked(self, response):
        # A server on Python 2 sends its strings as bytes.
        print(" method successful, response:", response.decode() if isinstance(response, bytes) else response)

    def was_insecure(self, failure):
        failure.trap(jelly.InsecureJelly)
        print(" InsecureJelly: you tried to send something unsafe to them")

    def was_remote(self, failure):
        which = failure.trap(MyException, MyOtherException)
        print(" remote raised a", which.__name__)

    def was_anything(self, failure):
        print(" something else happened")
        log.err(failure)

    def call(self, explanation, arg):
        print(explanation)
        try:
            response = self.remote.callRemote("fooMethod", arg)
        except pb.DeadReferenceError:  # known at once: there is no connection to wait for
            print(" stale reference: the client disconnected or crashed")
            return defer.succeed(None)
        response.addCallback(self.worked)
        response.addErrback(self.was_insecure)
        response.addErrback(self.was_remote)
        response.addErrback(self.was_anything)
        return response

    def shut_down(self):
        """Ends when the connection does, which the server takes along: perhaps before its answer is out."""
        gone = defer.Deferred()
        self.remote.notifyOnDisconnect(gone.callback)
        print("telling them to shut down")
        self.remote.callRemote("shutdown").addErrback(lambda failure: failure.trap(pb.PBConnectionLost))
        return gone


async def make_calls(remote):
    caller = Caller(remote)
    await caller.call("callOne: call with safe object", "safe string")
    await caller.call("callTwo: call with dangerous object", ScaryObject())
    await caller.call("callThree: call that raises remote exception", "panic!")
    await caller.shut_down()
    await caller.call("callFour: call on stale reference", "dummy")


def main(port):
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    done = factory.getRootObject()
    done.addCallback(lambda remote: defer.ensureDeferred(make_calls(remote)))
    done.addErrback(log.err)
    done.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fail in each way there is.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    main(parser.parse_args().port)
