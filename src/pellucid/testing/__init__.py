"""Simulated worlds to test programs in: virtual time, links that fail, processes that crash; the same for one seed.

Programs run as they are, on asyncio and on pellucid. What a failing seed has done it does again.
"""

from pellucid.testing.faults import Faults
from pellucid.testing.links import Link
from pellucid.testing.process import Process
from pellucid.testing.runs import for_each_seed, simulated
from pellucid.testing.world import Stuck, World

__all__ = ["Faults", "Link", "Process", "Stuck", "World", "for_each_seed", "simulated"]
