"""Buildbot's master in the current directory, with its log on stdout."""

import sys
from pathlib import Path

from buildbot.master import BuildMaster
from twisted.application import service
from twisted.python.log import FileLogObserver, ILogObserver

application = service.Application('buildmaster')  # Buildbot looks for these very quotes
application.setComponent(ILogObserver, FileLogObserver(sys.stdout).emit)
BuildMaster(str(Path.cwd()), "master.cfg").setServiceParent(application)
