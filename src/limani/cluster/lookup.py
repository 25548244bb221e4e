"""Finding the lab cluster behind an API server's address."""

from __future__ import annotations

from pathlib import Path

from limani.cluster.hosted import task
from limani.cluster.native import backend
from limani.cluster.native.cluster import NativeCluster
from limani.errors import BadInput


def load_archive(server: str, archive: Path) -> None:
    """Put the images of an archive onto all nodes of the lab cluster whose API server is ``server``.

    This is the bootstrap: how the agent's own image reaches nodes that have no agent yet. Raises BadInput if no lab
    cluster of this machine has that address, CommandFailed.
    """
    for name in backend.names():
        cluster = NativeCluster.open(name)
        if cluster.spec.server == server:
            running = [node.name for node in cluster.spec.node_list if cluster.init(node.name)]
            cluster.load(archive, running)
            return
    if task.load_archive(server, archive):
        return
    raise BadInput(
        f"The cluster at {server} is no lab cluster of this machine, so an archive cannot be brought to its nodes.",
        hint="Push the agent's image to a registry the nodes can pull from, and name it: image=REGISTRY/agent:TAG.",
    )
