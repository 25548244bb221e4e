"""Making, changing and deleting minikube clusters (profiles) of the Docker driver."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limani.cluster.backend import CREATE_TIMEOUT_S, Progress
from limani.cluster.hosted import checks, docker, record
from limani.cluster.hosted.base import Differences, compare, need_ours
from limani.cluster.hosted.options import HostedRequest, refuse
from limani.cluster.hosted.record import Record
from limani.cluster.hosted.tool import Ran, Tool
from limani.cluster.minikube import output
from limani.cluster.status import ClusterStatus, NodeStatus
from limani.errors import (
    BadInput,
    ClusterExists,
    ClusterUnknown,
    CommandFailed,
    LimaniError,
    NodeUnknown,
    RuntimeUnavailable,
)

GET = "Install minikube (https://minikube.sigs.k8s.io/docs/start) where PATH finds it."
OLDEST = (1, 33, 0)
_WAIT = "apiserver,node_ready,default_sa"
_NOT_HERE = ("docker", "node_subnet", "pod_subnet", "binaries", "mirror", "node_disks", "api_address")


class MinikubeBackend:
    """:class:`limani.cluster.hosted.base.HostedBackend` for minikube."""

    name = "minikube"

    def create(
        self, request: HostedRequest, *, progress: Progress, keep: bool = False, timeout_s: float = CREATE_TIMEOUT_S
    ) -> ClusterStatus:
        """Make a cluster and wait until its nodes are Ready."""
        check_request(request)
        _tool().check()
        docker.check()
        if request.name in self.names():
            raise ClusterExists(f"A minikube profile {request.name!r} exists already.", name=request.name)
        checks.check_memory(request.nodes, request.memory)
        for address, port, protocol in _ports(request):
            checks.check_port(address, port, protocol)
        record.save(request.name, Record(backend="minikube", request=request))
        try:
            self._start(request.name, start_arguments(request), timeout_s, progress)
        except BaseException:
            if not keep:
                with contextlib.suppress(LimaniError):
                    _tool(request.name).run("delete", "-p", request.name, "-o", "json", timeout_s=180)
                record.forget("minikube", request.name)
            raise
        return self.status(request.name)

    def _start(self, name: str, arguments: list[str], timeout_s: float, progress: Progress) -> None:
        done = _tool(name).run("start", "-p", name, "-o", "json", *arguments, timeout_s=timeout_s, progress=progress)
        if done.code:
            raise start_failed(name, done)

    def adopt(self, request: HostedRequest) -> None:
        """From now on look after a profile another made: record it and keep a kubeconfig of it."""
        _profile(request.name)
        record.prepare("minikube", request.name)
        done = _tool(request.name).run("update-context", "-p", request.name)
        if done.code:
            record.forget("minikube", request.name)
            raise done.failed(f"minikube did not write the kubeconfig of {request.name}")
        record.save(request.name, Record(backend="minikube", request=request, adopted=True))

    def delete(self, name: str) -> bool:
        """Remove a cluster of Limani's; false if there was nothing."""
        _tool().check()
        if name not in self.names():
            return record.forget("minikube", name)
        need_ours("minikube", name)
        done = _tool(name).run("delete", "-p", name, "-o", "json", timeout_s=180)
        if done.code:
            raise done.failed(f"minikube did not delete {name}")
        record.forget("minikube", name)
        return True

    def names(self) -> list[str]:
        """Names of all profiles."""
        return sorted(_profiles())

    def status(self, name: str) -> ClusterStatus:
        """The cluster as it is now."""
        profile = _profile(name)
        state = _state(name)
        addresses = output.nodes(_tool().run("node", "list", "-p", name).output)
        members = [_node(item, addresses.get(item.name, "")) for item in state.nodes] if state else []
        kubernetes = dict(profile.get("KubernetesConfig") or {})
        kubeconfig = record.folder("minikube", name) / "kubeconfig"
        well = bool(members) and all(member.ready for member in members)
        stopped = not any(member.state == "up" for member in members)
        first = addresses.get(members[0].name, "") if members else ""
        return ClusterStatus(
            name=name,
            backend="minikube",
            state="running" if well else "stopped" if stopped else "degraded",
            kubernetes_version=str(kubernetes.get("KubernetesVersion", "")).removeprefix("v"),
            docker=kubernetes.get("ContainerRuntime") == "docker",
            server=f"https://{first}:{profile.get('APIServerPort') or 8443}" if first else "",
            kubeconfig=str(kubeconfig) if kubeconfig.exists() else "",
            bridge="",
            node_subnet="",
            pod_subnet="",
            service_subnet=str(kubernetes.get("ServiceCIDR", "")),
            processes=[],
            nodes=members,
        )

    def differences(self, request: HostedRequest) -> Differences:
        """In what the profile differs from what is asked."""
        profile = _profile(request.name)
        kubernetes = dict(profile.get("KubernetesConfig") or {})
        ours = record.load("minikube", request.name)
        found: dict[str, Any] = {
            "nodes": len(profile.get("Nodes") or []),
            "kubernetes_version": str(kubernetes.get("KubernetesVersion", "")).removeprefix("v"),
            "runtime": kubernetes.get("ContainerRuntime"),
            "service_subnet": kubernetes.get("ServiceCIDR"),
        }
        wanted: dict[str, Any] = {
            "nodes": request.nodes,
            "kubernetes_version": request.version,
            "runtime": request.runtime,
            "service_subnet": request.service_subnet,
        }
        # A profile does not tell these in a form that can be relied on; of Limani's own clusters it is recorded.
        for field in ("image", "mounts", "ports", "registry_mirrors", "memory", "api_port"):
            wanted[field] = getattr(request, field)
            found[field] = getattr(ours.request, field) if ours and not ours.adopted else wanted[field]
        return compare(found, wanted)

    def kubeconfig(self, name: str) -> Path:
        """Path of the administrator's kubeconfig."""
        return record.kubeconfig("minikube", name)

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Import an image archive into the runtime of all nodes; minikube cannot choose among them."""
        need_ours("minikube", name)
        if nodes:
            raise BadInput("minikube loads an image into all nodes of a cluster.", hint="Leave the nodes out.")
        done = _tool(name).run("image", "load", str(archive), "-p", name, timeout_s=600)
        if done.code:
            raise done.failed(f"minikube did not load {archive} into {name}")

    def start(self, name: str, node: str | None = None) -> bool:
        """Start or resume a node, or all; ``minikube start`` also brings back what Docker stopped."""
        need_ours("minikube", name)
        states = {item.name: item for item in self._states(name, node)}
        if all(item.ready for item in states.values()):
            return False
        if any(item.state == "paused" for item in states.values()):
            done = _tool(name).run("unpause", "-p", name, "-A", timeout_s=120)
        elif node:
            done = _tool(name).run("node", "start", node, "-p", name, timeout_s=CREATE_TIMEOUT_S * 2)
        else:
            done = _tool(name).run("start", "-p", name, "-o", "json", f"--wait={_WAIT}", timeout_s=CREATE_TIMEOUT_S * 2)
        if done.code:
            raise start_failed(name, done)
        return True

    def stop(self, name: str, node: str | None = None) -> bool:
        """Stop a node, or all."""
        need_ours("minikube", name)
        if all(item.state == "down" for item in self._states(name, node)):
            return False
        arguments = ["node", "stop", node, "-p", name] if node else ["stop", "-p", name]
        done = _tool(name).run(*arguments, timeout_s=180)
        if done.code:
            raise done.failed(f"minikube did not stop {node or name}")
        return True

    def _states(self, name: str, node: str | None) -> list[output.NodeState]:
        state = _state(name)
        if state is None:
            raise RuntimeUnavailable(
                f"The container of minikube profile {name} is gone.",
                hint=f"Delete the profile and make it anew: limani cluster delete {name}",
            )
        found = [item for item in state.nodes if node in (None, item.name)]
        if not found:
            known = ", ".join(item.name for item in state.nodes)
            raise NodeUnknown(f"Cluster {name} has no node {node!r}, only {known}.", node=node)
        return found


def check_request(request: HostedRequest) -> None:
    """Refuse by name what minikube cannot do. Raises :class:`Unsupported`, :class:`BadInput`."""
    refuse(request, "minikube", _NOT_HERE)
    if len(request.mounts) > 1 or any(mount.read_only for mount in request.mounts):
        refuse(request, "minikube", ("mounts",), "minikube mounts one folder, for reading and writing.")
    if set(request.registry_mirrors) - {"docker.io"}:
        refuse(request, "minikube", ("registry_mirrors",), "minikube knows mirrors of docker.io only.")
    for mount in request.mounts:
        if not Path(mount.host).exists():
            raise BadInput(f"The folder {mount.host} to mount does not exist on this machine.", path=mount.host)


def start_arguments(request: HostedRequest) -> list[str]:
    """Options of ``minikube start`` for a request."""
    options = ["--driver=docker", f"--nodes={request.nodes}", f"--wait={_WAIT}", "--interactive=false"]
    options.append(f"--container-runtime={request.runtime or 'containerd'}")
    if request.nodes > 1:
        options.append("--cni=kindnet")  # the bridge refuses more than one node
    if request.version:
        options.append(f"--kubernetes-version=v{request.version}")
    if request.image:
        options.append(f"--base-image={request.image}")
    if request.memory:
        options.append(f"--memory={request.memory >> 20}mb")
    if request.api_port:
        options.append(f"--apiserver-port={request.api_port}")
    if request.service_subnet:
        options.append(f"--service-cluster-ip-range={request.service_subnet}")
    for mount in request.mounts:
        options += ["--mount", f"--mount-string={mount.host}:{mount.node}"]
    options += [f"--ports={port.address}:{port.host}:{port.node}/{port.protocol}" for port in request.ports]
    options += [f"--registry-mirror={url}" for url in request.registry_mirrors.get("docker.io", ())]
    return options


def start_failed(name: str, done: Ran) -> CommandFailed:
    """The error for a ``start`` that failed: what its exit code means, and its own last word."""
    what, hint = output.START_CODES.get(
        done.code, (f"minikube did not start {name}.", f"minikube logs -p {name} tells more.")
    )
    said = output.message(done.output) or " ".join(done.errors.strip().splitlines()[-3:])
    return CommandFailed(
        f"{what} It ended with exit code {done.code}: {said[:800]}",
        hint=hint.replace("NAME", name),
        arguments=list(done.arguments),
        exit_code=done.code,
        output=(done.errors + done.output)[-8000:],
    )


def _tool(name: str | None = None) -> Tool:
    """The command; with a cluster's name it writes the kubeconfig Limani keeps, never the user's own."""
    environment = {"KUBECONFIG": str(record.folder("minikube", name) / "kubeconfig")} if name else {}
    return Tool("minikube", OLDEST, ("version", "--short"), GET, environment)


def _profiles() -> dict[str, dict[str, Any]]:
    done = _tool().run("profile", "list", "-o", "json", timeout_s=60)
    if done.code:
        raise done.failed("minikube does not list its profiles")
    return output.profiles(done.output)


def _profile(name: str) -> dict[str, Any]:
    found = _profiles().get(name)
    if found is None:
        raise ClusterUnknown(
            f"There is no minikube profile {name!r}.",
            hint=f"minikube profile list shows them; limani cluster create {name} --backend minikube makes it.",
            name=name,
        )
    return found


def _state(name: str) -> output.ClusterState | None:
    done = _tool().run("status", "-p", name, "-l", "cluster", "-o", "json", timeout_s=60)
    if done.code == output.MISSING_PROFILE:
        raise ClusterUnknown(f"There is no minikube profile {name!r}.", name=name)
    return output.cluster_state(done.output)


def _node(item: output.NodeState, address: str) -> NodeStatus:
    return NodeStatus(
        name=item.name,
        state=item.state,
        ready=item.ready,
        address=address,
        pod_subnet="",
        pid=0,
        netns="",
        link="",
        containerd_socket="",
        docker_socket="",
        processes=[],
    )


def _ports(request: HostedRequest) -> list[tuple[str, int, str]]:
    return [(port.address, port.host, port.protocol) for port in request.ports]
