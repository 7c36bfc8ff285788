"""What users test their own processes and clusters with: a virtual clock, nodes in memory, a network that can be cut."""

from beamish.testing.asserts import assert_receive, flush, refute_receive
from beamish.testing.clock import Stuck, VirtualClockLoop
from beamish.testing.cluster import MemoryCluster, run_cluster
from beamish.testing.network import MemoryNetwork
from beamish.testing.proxy import CuttingProxy
from beamish.testing.running import run_on, run_virtual

__all__ = [
    "CuttingProxy",
    "MemoryCluster",
    "MemoryNetwork",
    "Stuck",
    "VirtualClockLoop",
    "assert_receive",
    "flush",
    "refute_receive",
    "run_cluster",
    "run_on",
    "run_virtual",
]
