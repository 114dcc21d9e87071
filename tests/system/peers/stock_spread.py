"""Run a program that was written for ``pellucid.twisted`` on stock Twisted: its file and its arguments follow."""

import runpy
import sys
from pathlib import Path
from types import ModuleType

from twisted.spread import jelly, pb

door = ModuleType("pellucid.twisted")
door.pb, door.jelly = pb, jelly
# No package, so that nothing else of that name can be found: pellucid itself stays out of this process.
sys.modules |= {"pellucid": ModuleType("pellucid"), "pellucid.twisted": door}

del sys.argv[0]
sys.path[0] = str(Path(sys.argv[0]).parent)
runpy.run_path(sys.argv[0], run_name="__main__")
