"""What users test their own processes and clusters with: a virtual clock, supervised processes that end with the test, nodes in
memory, a network that can be cut. The guide is docs/testing.md."""

from beamish.testing.asserts import (
    assert_down,
    assert_receive,
    assert_received,
    eventually,
    flush,
    refute_receive,
    refute_received,
)
from beamish.testing.case import LinkedProcessFailed
from beamish.testing.clock import Stuck, VirtualClockLoop, advance, now, settle
from beamish.testing.cluster import MemoryCluster, run_cluster, services_of_a_node
from beamish.testing.decorators import clustered, virtual
from beamish.testing.logs import CapturedLog, capture_log
from beamish.testing.network import MemoryNetwork
from beamish.testing.proxy import CuttingProxy
from beamish.testing.running import run_on, run_virtual
from beamish.testing.supervised import on_exit, start_link_supervised, start_supervised, stop_supervised

__all__ = [
    "CapturedLog",
    "CuttingProxy",
    "LinkedProcessFailed",
    "MemoryCluster",
    "MemoryNetwork",
    "Stuck",
    "VirtualClockLoop",
    "advance",
    "assert_down",
    "assert_receive",
    "assert_received",
    "capture_log",
    "clustered",
    "eventually",
    "flush",
    "now",
    "on_exit",
    "refute_receive",
    "refute_received",
    "run_cluster",
    "run_on",
    "run_virtual",
    "services_of_a_node",
    "settle",
    "start_link_supervised",
    "start_supervised",
    "stop_supervised",
    "virtual",
]
