"""The live picture: nodes with their pods and images, containers and images of the Docker daemon, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

OURS = "limani.dev/lab/"
"""Images of lessons; nothing else of a Docker daemon is anybody's business here."""


@dataclass(frozen=True)
class PodView:
    """A Pod: ``state`` is the word kubectl shows (Running, ImagePullBackOff, Terminating, ...)."""

    name: str
    node: str
    state: str
    ready: int
    containers: int
    restarts: int
    image: str

    @property
    def well(self) -> bool:
        return self.state == "Running" and self.ready == self.containers


@dataclass(frozen=True)
class NodeView:
    """A node and the lesson images it holds."""

    name: str
    ready: bool
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContainerView:
    """A container of the Docker daemon: ``state`` is Docker's word, ``exit`` its code once it has ended."""

    name: str
    image: str
    state: str
    exit: int | None = None
    ports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """All of it. ``cluster``, ``docker``: "" (not part of this lesson), "ok" or "away" (does not answer)."""

    cluster: str = ""
    namespace: str = ""
    nodes: tuple[NodeView, ...] = ()
    pods: tuple[PodView, ...] = ()
    docker: str = ""
    containers: tuple[ContainerView, ...] = ()
    images: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """JSON form; pods say whether they are well."""
        made = asdict(self)
        for pod, view in zip(made["pods"], self.pods, strict=True):
            pod["well"] = view.well
        return made


def pod_view(pod: Mapping[str, Any]) -> PodView:
    """A Pod of the API."""
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    statuses = status.get("containerStatuses", [])
    return PodView(
        name=metadata["name"],
        node=spec.get("nodeName", ""),
        state=pod_state(metadata, status),
        ready=sum(bool(one.get("ready")) for one in statuses),
        containers=len(spec.get("containers", [])),
        restarts=sum(int(one.get("restartCount", 0)) for one in statuses),
        image=short(spec.get("containers", [{}])[0].get("image", "")),
    )


def pod_state(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """One word for a Pod's state: a waiting or failed container says more than the phase."""
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    for one in status.get("initContainerStatuses", []):
        state = one.get("state", {})
        if "waiting" in state and state["waiting"].get("reason") != "PodInitializing":
            return f"Init:{state['waiting'].get('reason', 'Waiting')}"
        if "running" in state and not one.get("started") and not one.get("ready"):
            return "Init"
    for one in status.get("containerStatuses", []):
        state = one.get("state", {})
        for kind in ("waiting", "terminated"):
            if state.get(kind, {}).get("reason"):
                return str(state[kind]["reason"])
    return str(status.get("phase", "Unknown"))


def node_view(node: Mapping[str, Any]) -> NodeView:
    """A Node of the API."""
    status = node.get("status", {})
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
    names = (name for image in status.get("images", []) for name in image.get("names", []))
    return NodeView(node["metadata"]["name"], ready, lesson_images(names))


def container_view(container: Mapping[str, Any]) -> ContainerView:
    """A container as Docker's list of containers gives it."""
    ports = {
        f"{port.get('IP') or ''}:{port['PublicPort']}".lstrip(":") + f" → {port['PrivatePort']}"
        for port in container.get("Ports") or []
        if port.get("PublicPort")
    }
    state = str(container.get("State", ""))
    words = str(container.get("Status", ""))
    code = words.partition("(")[2].partition(")")[0]
    return ContainerView(
        name=(container.get("Names") or ["/?"])[0].lstrip("/"),
        image=short(str(container.get("Image", ""))),
        state=state,
        exit=int(code) if state == "exited" and code.isdigit() else None,
        ports=tuple(sorted(ports)),
    )


def lesson_images(names: Iterable[str]) -> tuple[str, ...]:
    """Tags of lesson images, short, each once."""
    return tuple(sorted({short(name) for name in names if name.startswith(OURS) and "@" not in name}))


def short(image: str) -> str:
    """A lesson image without the part all of them share."""
    return image.removeprefix(OURS)


@dataclass(frozen=True)
class Change:
    """Something worth telling: which object (``key``), the message's id and its values."""

    key: str
    message: str
    values: Mapping[str, Any]


def changes(old: Picture, new: Picture) -> Sequence[Change]:
    """What somebody who cannot see the picture should be told."""
    told = [*_pods(old, new), *_nodes(old, new), *_containers(old, new)]
    if old.docker == "ok":
        told += [_image(image) for image in new.images if image not in old.images]
    return told


def _image(image: str) -> Change:
    return Change(f"image/{image}", "serve.say.image", {"image": image})


def _pods(old: Picture, new: Picture) -> Iterable[Change]:
    if not old.namespace:  # the first look: what is there already is in the table
        return
    before = {pod.name: pod for pod in old.pods}
    for pod in new.pods:
        was = before.pop(pod.name, None)
        if was is None or _told(was) != _told(pod):
            yield Change(f"pod/{pod.name}", "serve.say.pod", asdict(pod))
    if new.cluster == "ok":
        yield from (Change(f"pod/{name}", "serve.say.pod_gone", {"name": name}) for name in before)


def _told(pod: PodView) -> tuple[Any, ...]:
    return pod.state, pod.ready, pod.restarts


def _nodes(old: Picture, new: Picture) -> Iterable[Change]:
    before = {node.name: node.ready for node in old.nodes}
    for node in new.nodes:
        if before.get(node.name, True) != node.ready:
            message = "serve.say.node_ready" if node.ready else "serve.say.node_away"
            yield Change(f"node/{node.name}", message, {"name": node.name})


def _containers(old: Picture, new: Picture) -> Iterable[Change]:
    if old.docker != "ok":
        return
    before = {one.name: one for one in old.containers}
    for one in new.containers:
        was = before.pop(one.name, None)
        if was is None or (was.state, was.exit) != (one.state, one.exit):
            message = "serve.say.container" if one.exit is None else "serve.say.container_exit"
            yield Change(f"container/{one.name}", message, asdict(one))
    if new.docker == "ok":
        yield from (Change(f"container/{name}", "serve.say.container_gone", {"name": name}) for name in before)
