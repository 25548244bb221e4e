"""Making, changing and deleting kind clusters."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limani.cluster.backend import CREATE_TIMEOUT_S, Progress
from limani.cluster.hosted import checks, docker, record
from limani.cluster.hosted.base import Differences, compare, inotify_hint, need_ours
from limani.cluster.hosted.options import HostedRequest, refuse
from limani.cluster.hosted.record import Record
from limani.cluster.hosted.tool import Tool
from limani.cluster.kind import config, look
from limani.cluster.status import ClusterStatus
from limani.errors import BadInput, ClusterExists, LimaniError, TimedOut

KIND = Tool(
    "kind",
    (0, 24, 0),
    ("--version",),
    "Install kind (https://kind.sigs.k8s.io, or go install sigs.k8s.io/kind@latest) where PATH finds it.",
)
OUR_IMAGE = "limani.dev/node-image"
"""Label of node images made by images/kind_node."""
_NOT_HERE = ("docker", "node_subnet", "binaries", "mirror", "node_disks", "memory")


class KindBackend:
    """:class:`limani.cluster.hosted.base.HostedBackend` for kind with Docker."""

    name = "kind"

    def create(
        self, request: HostedRequest, *, progress: Progress, keep: bool = False, timeout_s: float = CREATE_TIMEOUT_S
    ) -> ClusterStatus:
        """Make a cluster; LIMANI_KIND_IMAGE and LIMANI_KIND_API_ADDRESS stand in for what is not asked."""
        check_request(request)
        KIND.check()
        info = docker.check()
        if request.name in self.names():
            raise ClusterExists(f"A kind cluster {request.name!r} exists already.", name=request.name)
        request = _settle(request)
        checks.check_memory(request.nodes)
        for address, port, protocol in _ports(request):
            checks.check_port(address, port, protocol)
        folder = record.prepare("kind", request.name)
        try:
            self._create(request, info, folder, progress, keep, time.monotonic() + timeout_s)
        except BaseException:
            if not keep:
                with contextlib.suppress(LimaniError):
                    KIND.run("delete", "cluster", "--name", request.name, "--kubeconfig", str(folder / "kubeconfig"))
                record.forget("kind", request.name)
            raise
        return self.status(request.name)

    def _create(
        self,
        request: HostedRequest,
        info: dict[str, Any],
        folder: Path,
        progress: Progress,
        keep: bool,
        deadline: float,
    ) -> None:
        mirrors = config.write_mirrors(request.registry_mirrors, folder / "mirrors")
        file = folder / "kind.json"  # every JSON document is a YAML document
        made = config.document(request, _api_port(request), mirrors, _kubelet(request, info))
        file.write_text(json.dumps(made, indent=1))
        record.save(request.name, Record(backend="kind", request=request))
        arguments = ["create", "cluster", "--config", str(file), "--kubeconfig", str(folder / "kubeconfig")]
        arguments += ["--image", request.image] if request.image else []
        arguments += ["--retain"] if keep else []
        done = KIND.run(*arguments, timeout_s=max(1.0, deadline - time.monotonic()), progress=progress)
        if done.code:
            raise done.failed(f"kind did not make cluster {request.name}", _hint(request))
        await_ready(request.name, deadline, progress)

    def adopt(self, request: HostedRequest) -> None:
        """From now on look after a cluster another made: record it and keep a kubeconfig of it."""
        look.control_plane(request.name)
        file = record.prepare("kind", request.name) / "kubeconfig"
        done = KIND.run("export", "kubeconfig", "--name", request.name, "--kubeconfig", str(file))
        if done.code:
            record.forget("kind", request.name)
            raise done.failed(f"kind did not write the kubeconfig of cluster {request.name}")
        record.save(request.name, Record(backend="kind", request=request, adopted=True))

    def delete(self, name: str) -> bool:
        """Remove a cluster of Limani's; false if there was nothing."""
        KIND.check()
        docker.check()
        if name not in self.names():
            return record.forget("kind", name)
        need_ours("kind", name)
        file = record.folder("kind", name) / "kubeconfig"
        done = KIND.run("delete", "cluster", "--name", name, "--kubeconfig", str(file), timeout_s=180)
        if done.code:
            raise done.failed(f"kind did not delete cluster {name}")
        record.forget("kind", name)
        return True

    def names(self) -> list[str]:
        """Names of all kind clusters of this Docker."""
        return look.names()

    def status(self, name: str) -> ClusterStatus:
        """The cluster as it is now."""
        docker.check()
        return look.status(name)

    def differences(self, request: HostedRequest) -> Differences:
        """In what the cluster of that name differs from what is asked."""
        wanted = {
            "nodes": request.nodes,
            "kubernetes_version": request.version,
            "image": request.image,
            "api_address": request.api_address,
            "api_port": request.api_port,
            "pod_subnet": request.pod_subnet,
            "service_subnet": request.service_subnet,
            "runtime": request.runtime,
            "mounts": [f"{m.host}:{m.node}{':ro' if m.read_only else ''}" for m in request.mounts],
            "ports": sorted(f"{p.address}:{p.host}:{p.node}/{p.protocol}" for p in request.ports),
            "registry_mirrors": request.registry_mirrors,
        }
        return compare(look.described(request.name), wanted)

    def kubeconfig(self, name: str) -> Path:
        """Path of the administrator's kubeconfig."""
        return record.kubeconfig("kind", name)

    def load(self, name: str, archive: Path, nodes: Sequence[str] | None = None) -> None:
        """Import an image archive into containerd of the nodes."""
        need_ours("kind", name)
        KIND.check()
        for wanted in nodes or ():
            look.node(name, wanted)
        chosen = ["--nodes", ",".join(nodes)] if nodes else []
        done = KIND.run("load", "image-archive", str(archive), "--name", name, *chosen, timeout_s=600)
        if done.code:
            raise done.failed(f"kind did not load {archive} into cluster {name}")

    def start(self, name: str, node: str | None = None) -> bool:
        """Start or resume a node, or all nodes, and wait until they are Ready."""
        need_ours("kind", name)
        wanted = [look.node(name, node)] if node else look.nodes(name)
        changed = False
        for item in wanted:
            verb = {"down": "start", "paused": "unpause"}.get(look.state(item))
            changed |= _power(verb, look.node_name(item))
        if changed:
            await_ready(name, time.monotonic() + CREATE_TIMEOUT_S, lambda line: None, node)
        return changed

    def stop(self, name: str, node: str | None = None) -> bool:
        """Stop a node, or all nodes (the control plane last)."""
        need_ours("kind", name)
        wanted = [look.node(name, node)] if node else look.nodes(name)[::-1]
        changed = [_power("stop" if look.state(item) != "down" else None, look.node_name(item)) for item in wanted]
        return any(changed)


def check_request(request: HostedRequest) -> None:
    """Refuse by name what kind cannot do. Raises :class:`Unsupported`, :class:`BadInput`."""
    refuse(request, "kind", _NOT_HERE)
    if request.runtime == "docker":
        refuse(
            request, "kind", ("runtime",), "Nodes of kind run containerd; minikube and native clusters can have Docker."
        )
    for mount in request.mounts:
        if not Path(mount.host).exists():
            raise BadInput(f"The folder {mount.host} to mount does not exist on this machine.", path=mount.host)


def await_ready(name: str, deadline: float, progress: Progress, node: str | None = None) -> None:
    """Wait until the nodes (or one) are Ready and the cluster's DNS serves. Raises :class:`TimedOut`."""
    control = look.node_name(look.control_plane(name))
    what = [f"node/{node}"] if node else ["node", "--all"]
    progress("Waiting for the nodes and the DNS of the cluster")
    for condition in (
        ["--for=condition=Ready", *what],
        ["-n", "kube-system", "--for=condition=Available", "deployment/coredns"],
    ):
        left = max(1, int(deadline - time.monotonic()))
        done = docker.execute(control, [*look.KUBECTL, "wait", f"--timeout={left}s", *condition], timeout_s=left + 20)
        if done.code:
            said = (done.errors + done.output).strip()[-600:]
            raise TimedOut(
                f"Cluster {name} is not ready in time: {said}",
                hint=inotify_hint()
                or f"kubectl get pods -A shows what is missing; docker logs {control} how the node started.",
            )


def _settle(request: HostedRequest) -> HostedRequest:
    """Fill in from the environment and from what was asked what the configuration needs."""
    import msgspec

    image = request.image or os.environ.get("LIMANI_KIND_IMAGE")
    if not image and request.version:
        image = f"kindest/node:v{request.version}"
    address = request.api_address or os.environ.get("LIMANI_KIND_API_ADDRESS")
    return msgspec.structs.replace(request, image=image, api_address=address)


def _api_port(request: HostedRequest) -> int:
    """The port asked for; else kind finds a free one, but it cannot where Docker's network is not this machine's."""
    if request.api_port:
        return request.api_port
    return checks.free_port(docker.published()) if request.api_address else 0


def _ports(request: HostedRequest) -> list[tuple[str, int, str]]:
    found = [(port.address, port.host, port.protocol) for port in request.ports]
    if request.api_port:
        found.append((request.api_address or "127.0.0.1", request.api_port, "tcp"))
    return found


def _kubelet(request: HostedRequest, info: dict[str, Any]) -> dict[str, Any]:
    """What the kubelet must be told where the machine has cgroup v1 (Kubernetes 1.35 and newer refuse it otherwise)."""
    if str(info.get("CgroupVersion")) != "1":
        return {}
    ours = False
    if request.image:
        done = docker.DOCKER.run("image", "inspect", "--format", "{{json .Config.Labels}}", request.image)
        ours = done.code == 0 and OUR_IMAGE in (json.loads(done.output) or {})
    return {"failCgroupV1": False} | ({"cgroupDriver": "cgroupfs"} if ours else {})


def _power(verb: str | None, node: str) -> bool:
    if verb is None:
        return False
    done = docker.DOCKER.run(verb, node, timeout_s=120)
    if done.code:
        raise done.failed(f"Docker did not {verb} {node}")
    return True


def _hint(request: HostedRequest) -> str:
    """The next step after kind failed."""
    if hint := inotify_hint():
        return hint
    if request.image:
        return f"The output above is kind's own. Is the node image there? docker image inspect {request.image}"
    return (
        "The output above is kind's own. Without a container registry build a node image (python -m "
        "images.kind_node.build, docker load) and name it: --image, or image in a play."
    )
