"""Tells ``twistd``, which looks for plugins wherever PYTHONPATH leads, of the quote server.

Run that with ``PYTHONPATH=examples/twisted/quotes twistd --nodaemon qotd --pb 8787``, then run client.py beside it, or
``nc 127.0.0.1 8007``. Ctrl-C ends it. ``twistd qotd --help`` lists its options.
"""

from twisted.application.service import ServiceMaker

qotd = ServiceMaker("Quote of the day", "qotd.tap", "Tell quotes of the day.", "qotd")
