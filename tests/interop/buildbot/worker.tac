"""A worker of Buildbot's in the current directory, with its log on stdout."""

import os
import sys
from pathlib import Path

from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.python import log
from twisted.spread import pb

application = service.Application('buildbot-worker')  # Buildbot looks for these very quotes
application.setComponent(log.ILogObserver, log.FileLogObserver(sys.stdout).emit)
Worker(
    "127.0.0.1",
    int(os.environ["MASTER_PORT"]),
    "worker",
    os.environ["WORKER_PASSWORD"],
    str(Path.cwd()),
    keepalive=1,
    allow_shutdown="signal",
).setServiceParent(application)
log.msg(f"PB is {pb.__file__}")
