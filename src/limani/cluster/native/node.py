"""A node: what is in its /etc, and which processes its PID 1 keeps alive."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

from limani.cluster.native import images
from limani.cluster.native.bootscript import API_GATE, Host, boot_script
from limani.cluster.native.control import upstream_resolvers
from limani.cluster.native.gate import waiting
from limani.cluster.native.layout import Layout
from limani.cluster.native.supervisor import Program, configuration
from limani.cluster.spec import Node, Spec

SUPERVISOR_SOCKET = "/run/supervisor.sock"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
DOCKER_SOCKET = "/run/docker.sock"
_LOGS = "/var/log/limani"


def write(spec: Spec, layout: Layout, node: Node, host: Host) -> None:
    """Write everything the node needs to boot; what is on its disk stays."""
    here = layout.node(node.name)
    etc = here.etc / "upper"
    for folder in (etc / "kubernetes/pki", etc / "cni/net.d", etc / "containerd/certs.d", etc / "limani"):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (here.etc / "work", here.disk, here.log / "limani", here.run):
        folder.mkdir(parents=True, exist_ok=True)
    # It becomes the node's /etc, whatever the caller's umask.
    etc.chmod(0o755)
    for name, target in (
        (f"{node.name}.crt", "kubelet.crt"),
        (f"{node.name}.key", "kubelet.key"),
        ("ca.crt", "ca.crt"),
    ):
        _copy(layout.pki / name, etc / "kubernetes/pki" / target)
    _copy(layout.pki / f"{node.name}.kubeconfig", etc / "kubernetes/kubelet.kubeconfig")
    _copy(layout.pki / "proxy.kubeconfig", etc / "kubernetes/kube-proxy.kubeconfig")
    documents = {
        "kubernetes/kubelet.yaml": _document(kubelet(spec, node)),
        "kubernetes/kube-proxy.yaml": _document(kube_proxy(spec, node)),
        "cni/net.d/10-limani.conflist": _document(cni(node)),
        "containerd/config.toml": containerd(spec, host),
        "limani/supervisord.conf": configuration(
            SUPERVISOR_SOCKET, _LOGS, "/run/supervisord.pid", programs(spec, node), _path(spec)
        ),
        "hostname": f"{node.name}\n",
        "resolv.conf": resolv_conf(spec, upstream_resolvers()),
    }
    for name, text in documents.items():
        (etc / name).write_text(text)
    here.boot_script.write_text(boot_script(spec, layout, node, host))


def programs(spec: Spec, node: Node) -> list[Program]:
    """The node's processes."""
    kubelet_words = [
        f"{spec.binaries}/kubelet",
        "--config=/etc/kubernetes/kubelet.yaml",
        "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        "--root-dir=/var/lib/kubelet",
        "--cert-dir=/var/lib/kubelet/pki",
    ]
    proxy_words = [f"{spec.binaries}/kube-proxy", "--config=/etc/kubernetes/kube-proxy.yaml"]
    docker = [Program("dockerd", waiting(API_GATE, _dockerd_words(spec), socket=CONTAINERD_SOCKET), 4)]
    return [
        Program("containerd", f"{spec.binaries}/containerd --config /etc/containerd/config.toml", 1),
        # The kubelet gives up at once where its runtime is not there yet.
        Program("kubelet", waiting(API_GATE, kubelet_words, socket=CONTAINERD_SOCKET), 2),
        Program("kube-proxy", waiting(API_GATE, proxy_words), 3),
        *(docker if spec.docker else []),
    ]


def _dockerd_words(spec: Spec) -> list[str]:
    """dockerd beside the kubelet, on the node's own containerd (its containers are in the namespace ``moby``)."""
    return [
        spec.dockerd,
        f"--host=unix://{DOCKER_SOCKET}",
        f"--containerd={CONTAINERD_SOCKET}",
        "--data-root=/var/lib/docker",
        "--exec-root=/run/docker",
        "--pidfile=/run/docker.pid",
        "--exec-opt=native.cgroupdriver=cgroupfs",
    ]


def kubelet(spec: Spec, node: Node) -> dict[str, object]:
    """KubeletConfiguration (kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1)."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "authentication": {
            "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
            "webhook": {"enabled": True},
            "anonymous": {"enabled": False},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": "/etc/kubernetes/pki/kubelet.crt",
        "tlsPrivateKeyFile": "/etc/kubernetes/pki/kubelet.key",
        "clusterDNS": [spec.dns_service],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        # The node's cgroup namespace begins at its own cgroup, so "/" is the node.
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 16,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "healthzBindAddress": "127.0.0.1",
        "shutdownGracePeriod": "0s",
        "registerNode": True,
    }


def kube_proxy(spec: Spec, node: Node) -> dict[str, object]:
    """KubeProxyConfiguration: nftables mode; limits of connection tracking are the machine's and stay as they are."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.kubeconfig"},
        "hostnameOverride": node.name,
        "clusterCIDR": spec.pod_subnet,
        "healthzBindAddress": f"{node.address}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms"},
    }


def cni(node: Node) -> dict[str, object]:
    """The node's pod network (cni.dev/docs/spec, plugins bridge, host-local and portmap)."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pod_subnet}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "nftables"}
    return {"cniVersion": "1.0.0", "name": "limani", "plugins": [bridge, portmap]}


def containerd(spec: Spec, host: Host) -> str:
    """containerd's configuration, version 3 (containerd 2.x, docs/cri/config.md)."""
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE nobody may lower an OOM score, and pods would not start.
  restrict_oom_score_adj = {str(not host.may_raise_limits).lower()}
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{spec.binaries}/cni"]
    conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{images.PAUSE}"

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
"""


def resolv_conf(spec: Spec, upstream: list[str]) -> str:
    """The node's resolv.conf: the machine's servers; what listens on its loopback only is not reached from here."""
    servers = [server for server in upstream if not ip_address(server).is_loopback] or [spec.dns_service]
    return "".join(f"nameserver {server}\n" for server in servers)


def _path(spec: Spec) -> str:
    return f"{spec.binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _document(data: dict[str, object]) -> str:
    return json.dumps(data, indent=2) + "\n"


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
