"""``python -m limani.cluster.native.boot CLUSTER (NODE | control)``: what the warden calls to bring a part back."""

from __future__ import annotations

import os
import sys

from limani.cluster.native import cgroups
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.native.lock import cluster_lock
from limani.cluster.native.processes import kill_all


def boot(name: str, what: str) -> None:
    """Start a node that is down, or the control plane anew; nothing if it runs or was switched off on purpose."""
    with cluster_lock(name):
        cluster = NativeCluster.open(name)
        if what != "control":
            if not cluster.layout.node(what).off_file.exists():
                cluster.start_node(what)
            return
        if cluster.control.answers():
            return
        # Its processes still run, but nobody would restart them; a new supervisor needs their ports.
        mine = {os.getpid(), os.getppid()}
        kill_all(lambda: cgroups.processes(name, "control") - mine)
        cluster.start_control()


if __name__ == "__main__":
    boot(sys.argv[1], sys.argv[2])
