"""Which containers use which images, as containerd and the CRI know it."""

from __future__ import annotations

from collections.abc import Iterable

from limani.engine.containerd._pb import containers_pb2, cri_pb2, task_types_pb2, tasks_pb2
from limani.engine.containerd.rpc import Rpc
from limani.errors import RuntimeFailed, TimedOut

_CONTAINERS = "/containerd.services.containers.v1.Containers/List"
_TASKS = "/containerd.services.tasks.v1.Tasks/List"
_CRI_CONTAINERS = "/runtime.v1.RuntimeService/ListContainers"

_ALIVE = frozenset(
    {
        task_types_pb2.CREATED,
        task_types_pb2.RUNNING,
        task_types_pb2.PAUSED,
        task_types_pb2.PAUSING,
        task_types_pb2.UNKNOWN,
    }
)


async def users(rpc: Rpc) -> dict[str, tuple[str, ...]]:
    """Image name (as the container records it) -> names of the containers that are created, running or paused.

    A container without a process has been created and not started, or has ended: of the CRI's containers the CRI knows
    which; any other counts as created, because whoever made it may still start it.
    """
    answer = await rpc.call(_CONTAINERS, containers_pb2.ListContainersRequest(), containers_pb2.ListContainersResponse)
    tasks = await rpc.call(_TASKS, tasks_pb2.ListTasksRequest(), tasks_pb2.ListTasksResponse)
    states = {task.id or task.container_id: task.status for task in tasks.tasks}
    exited = await _exited(rpc, (container.labels.get("io.cri-containerd.kind", "") for container in answer.containers))
    found: dict[str, list[str]] = {}
    for container in answer.containers:
        if container.id in states:
            alive = states[container.id] in _ALIVE
        else:
            alive = container.id not in exited and container.labels.get("io.cri-containerd.kind") != "sandbox"
        if alive:
            found.setdefault(container.image, []).append(_display_name(container))
    return {image: tuple(sorted(names)) for image, names in found.items()}


async def _exited(rpc: Rpc, kinds: Iterable[str]) -> set[str]:
    """IDs of the CRI's containers that have ended; nothing is asked where there are none of the CRI's."""
    if "container" not in set(kinds):
        return set()
    try:
        answer = await rpc.call(_CRI_CONTAINERS, cri_pb2.ListContainersRequest(), cri_pb2.ListContainersResponse)
    except (RuntimeFailed, TimedOut):  # no CRI plugin: every container counts
        return set()
    return {container.id for container in answer.containers if container.state == cri_pb2.CONTAINER_EXITED}


def _display_name(container: containers_pb2.Container) -> str:
    """``namespace/pod/container`` for the kubelet's containers, else the ID."""
    labels = container.labels
    if "io.kubernetes.pod.name" in labels:
        parts = ("io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.container.name")
        return "/".join(labels[part] for part in parts if part in labels)
    return str(container.id)
