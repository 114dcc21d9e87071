"""The client of the echo server, on stock Twisted. The port is its argument."""

import sys

from twisted.internet import reactor
from twisted.spread import pb

factory = pb.PBClientFactory()
reactor.connectTCP("127.0.0.1", int(sys.argv[1]), factory)
echo = factory.getRootObject()
echo.addCallback(lambda root: root.callRemote("echo", "hello network"))
echo.addCallback(lambda text: "server echoed: " + text)
echo.addErrback(lambda reason: "error: " + str(reason.value))
echo.addCallback(print)
echo.addCallback(lambda _: reactor.stop())
reactor.run()
