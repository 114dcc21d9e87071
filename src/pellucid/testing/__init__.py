"""What programs are tested with: simulated worlds; and two ends joined in memory, with a look at what is left.

In a world there is virtual time, links fail, and processes crash; the same happens again for the same seed. Programs
run as they are, on asyncio and on pellucid.
"""

from pellucid.testing.faults import Faults
from pellucid.testing.in_memory import Pair, pair
from pellucid.testing.leaks import Watch
from pellucid.testing.links import Link
from pellucid.testing.process import Process
from pellucid.testing.runs import for_each_seed, simulated
from pellucid.testing.world import Stuck, World

__all__ = ["Faults", "Link", "Pair", "Process", "Stuck", "Watch", "World", "for_each_seed", "pair", "simulated"]
