"""The tests of Twisted's that cannot pass on ours, one by one, with the reason.

Either they look into what is private to Twisted's implementation, or they demand what is a fault there and mended here.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

DIFFERENCES = {
    "twisted.spread.test.test_banana.DialectTests.test_receiveIllegalPb": (
        "mended: a token that is not in the vocabulary is a BananaError with words, no KeyError"
    ),
    "twisted.spread.test.test_pb.BrokerTests.test_result": (
        "mended: a server that calls before a dialect is agreed on waits for that, and the test does not; its call"
        " leaves one turn later than Twisted's, which sends it in whatever words it has"
    ),
    "twisted.spread.test.test_pb.BrokerTests.test_tooManyRefs": (
        "mended: a peer may hold more than 1,024 references, as many as Limits.references_exported says"
    ),
    "twisted.spread.test.test_pb.NewCredTests.test_logoutAfterDecref": (
        "private: it ends by looking into Broker._localCleanup; the logout that it waits for has come by then"
    ),
    "twisted.web.test.test_distrib.DistribTests.test_connectionLost": (
        "mended: its request, a DummyRequest that may not cross, is refused here with InsecureJelly; Twisted sends a"
        " placeholder, and only then learns that the publisher has no such method"
    ),
}
