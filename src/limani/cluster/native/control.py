"""The control plane: its processes, their certificates and configuration, on this machine's side of the bridge."""

from __future__ import annotations

import json
import shlex
from ipaddress import ip_address
from pathlib import Path

from limani.cluster.native import pki
from limani.cluster.native.gate import waiting
from limani.cluster.native.layout import Layout
from limani.cluster.native.supervisor import Program, configuration
from limani.cluster.spec import Spec

# Name of the program that brings back nodes and the supervisor itself (native/warden.py).
WARDEN = "warden"
DNS_PORT = 1053
# Go's garbage collector runs twice as often as usual: a small cluster makes little garbage, and memory counts here.
_SMALL = {"GOGC": "50"}
_CLIENTS = {
    # kubeconfig and certificate: (common name, organization); kubernetes.io/docs/setup/best-practices/certificates
    "admin": ("limani-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "proxy": ("system:kube-proxy", None),
    "dns": ("limani:dns", None),
}


def write_certificates(spec: Spec, layout: Layout) -> None:
    """Every certificate, key and kubeconfig of the cluster. What exists is kept."""
    folder = layout.pki
    done = folder / "complete"
    if done.exists():
        return
    authority, etcd = pki.Authority(folder, "ca"), pki.Authority(folder, "etcd-ca")
    pki.signing_key(folder, "service-accounts")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    hosts = [*names, "localhost", "127.0.0.1", spec.gateway, spec.kubernetes_service]
    authority.issue("kube-apiserver", hosts=hosts).write(folder, "apiserver")
    authority.issue("limani-apiserver-kubelet", organization="system:masters").write(folder, "kubelet-client")
    authority.issue("front-proxy-client").write(folder, "front-proxy")
    etcd.issue("etcd", hosts=[spec.gateway, "127.0.0.1"]).write(folder, "etcd")
    etcd.issue("kube-apiserver").write(folder, "etcd-client")
    clients = {name: authority.issue(cn, organization=org) for name, (cn, org) in _CLIENTS.items()}
    for node in spec.node_list:
        user = f"system:node:{node.name}"
        pair = authority.issue(user, organization="system:nodes", hosts=[node.name, node.address])
        clients[node.name] = pair
    for name, pair in clients.items():
        pair.write(folder, name)
        config = pki.kubeconfig(spec.server, authority.pair.certificate, pair, f"limani-{spec.name}", name)
        pki.write_private(folder / f"{name}.kubeconfig", json.dumps(config, indent=1).encode())
    pki.write_private(layout.kubeconfig, (folder / "admin.kubeconfig").read_bytes())
    done.touch()


def write_configuration(spec: Spec, layout: Layout, python: str) -> None:
    """The supervisor's configuration and the processes' own."""
    layout.control_log.mkdir(parents=True, exist_ok=True)
    (layout.control / "Corefile").write_text(corefile(spec, layout, upstream_resolvers()))
    text = configuration(
        socket=str(layout.supervisor_socket),
        logs=str(layout.control_log),
        pidfile=str(layout.run / "supervisord.pid"),
        programs=programs(spec, layout, python),
        path=f"{spec.binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )
    (layout.control / "supervisord.conf").write_text(text)


def programs(spec: Spec, layout: Layout, python: str) -> list[Program]:
    """The processes of the control plane, first to start first."""
    first = {"etcd": _etcd(spec, layout), "kube-apiserver": _apiserver(spec, layout)}
    # Their attempts to reach an API server that is still starting would only take the processor from it.
    later = {
        "kube-controller-manager": _controller_manager(spec, layout),
        "kube-scheduler": _scheduler(spec, layout),
        "coredns": _words(spec, "coredns", {"conf": str(layout.control / "Corefile")}, dash="-"),
    }
    package = str(Path(__file__).parents[3])
    warden = ["/usr/bin/env", f"PYTHONPATH={package}", python, "-m", "limani.cluster.native.warden", spec.name]
    return [
        *(Program(name, shlex.join(words), 1, _SMALL) for name, words in first.items()),
        *(Program(name, waiting(layout.api_gate, words), 2, _SMALL) for name, words in later.items()),
        Program(WARDEN, shlex.join(warden), 3),
    ]


def corefile(spec: Spec, layout: Layout, resolvers: list[str]) -> str:
    """CoreDNS's configuration (coredns.io/manual/configuration); without resolvers only cluster names are known."""
    forward = f"    forward . {' '.join(resolvers)}\n" if resolvers else ""
    return f"""\
.:{DNS_PORT} {{
    bind {spec.gateway}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.pki / "dns.kubeconfig"}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
{forward}    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
    loadbalance
}}
"""


def upstream_resolvers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The name servers this machine asks (resolv.conf(5)); also those on loopback: CoreDNS runs beside them."""
    if not path.exists():
        return []
    words = [line.split() for line in path.read_text().splitlines()]
    servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return [server for server in servers if _is_address(server)][:3]


def _is_address(text: str) -> bool:
    if "%" in text:  # link-local: means something on one link of this machine only
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _words(spec: Spec, name: str, options: dict[str, str], dash: str = "--") -> list[str]:
    return [f"{spec.binaries}/{name}", *(f"{dash}{key}={value}" for key, value in options.items())]


def _etcd(spec: Spec, layout: Layout) -> list[str]:
    # A lab may lose its last second at a power cut; not waiting for the disk makes it several times faster.
    folder, client, peer = layout.pki, f"https://{spec.gateway}:2379", f"https://{spec.gateway}:2380"
    options = {
        "name": "limani",
        "data-dir": str(layout.control / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"limani={peer}",
        "cert-file": f"{folder}/etcd.crt",
        "key-file": f"{folder}/etcd.key",
        "trusted-ca-file": f"{folder}/etcd-ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": f"{folder}/etcd.crt",
        "peer-key-file": f"{folder}/etcd.key",
        "peer-trusted-ca-file": f"{folder}/etcd-ca.crt",
        "peer-client-cert-auth": "true",
        "snapshot-count": "5000",
        "unsafe-no-fsync": "true",
    }
    return _words(spec, "etcd", options)


def _apiserver(spec: Spec, layout: Layout) -> list[str]:
    folder = layout.pki
    options = {
        "etcd-servers": f"https://{spec.gateway}:2379",
        "etcd-cafile": f"{folder}/etcd-ca.crt",
        "etcd-certfile": f"{folder}/etcd-client.crt",
        "etcd-keyfile": f"{folder}/etcd-client.key",
        "bind-address": spec.gateway,
        "advertise-address": spec.gateway,
        "secure-port": str(spec.api_port),
        "service-cluster-ip-range": spec.service_subnet,
        "tls-cert-file": f"{folder}/apiserver.crt",
        "tls-private-key-file": f"{folder}/apiserver.key",
        "client-ca-file": f"{folder}/ca.crt",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{folder}/service-accounts.pub",
        "service-account-signing-key-file": f"{folder}/service-accounts.key",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "kubelet-client-certificate": f"{folder}/kubelet-client.crt",
        "kubelet-client-key": f"{folder}/kubelet-client.key",
        "kubelet-certificate-authority": f"{folder}/ca.crt",
        "kubelet-preferred-address-types": "InternalIP",
        "requestheader-client-ca-file": f"{folder}/ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": f"{folder}/front-proxy.crt",
        "proxy-client-key-file": f"{folder}/front-proxy.key",
        # ClusterIPs lead nowhere from this machine; webhooks and aggregated APIs are reached at their endpoints.
        "enable-aggregator-routing": "true",
        "allow-privileged": "true",
        "profiling": "false",
    }
    return _words(spec, "kube-apiserver", options)


def _controller_manager(spec: Spec, layout: Layout) -> list[str]:
    folder = layout.pki
    config = f"{folder}/controller-manager.kubeconfig"
    options = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": spec.gateway,
        "cluster-name": spec.name,
        "service-account-private-key-file": f"{folder}/service-accounts.key",
        "root-ca-file": f"{folder}/ca.crt",
        "cluster-signing-cert-file": f"{folder}/ca.crt",
        "cluster-signing-key-file": f"{folder}/ca.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        # A lab wants to see a dead node soon: 16 s instead of 50 s (the kubelets report every 4 s).
        "node-monitor-period": "2s",
        "node-monitor-grace-period": "16s",
        "profiling": "false",
    }
    return _words(spec, "kube-controller-manager", options)


def _scheduler(spec: Spec, layout: Layout) -> list[str]:
    config = str(layout.pki / "scheduler.kubeconfig")
    options = {
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "bind-address": spec.gateway,
        "leader-elect": "false",
        "profiling": "false",
    }
    return _words(spec, "kube-scheduler", options)
