"""The API objects a fresh cluster gets: its nodes, and the Service behind which CoreDNS answers."""

from __future__ import annotations

from limani.cluster.native.control import DNS_PORT
from limani.cluster.spec import Node, Spec

Document = dict[str, object]
_LABELS = {"app.kubernetes.io/managed-by": "limani"}
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


def node(item: Node) -> Document:
    """The Node, made before its kubelet joins, so that its pod network is the one its routes lead to."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": item.name, "labels": {"kubernetes.io/hostname": item.name}},
        "spec": {"podCIDR": item.pod_subnet, "podCIDRs": [item.pod_subnet]},
    }


def dns(spec: Spec) -> list[tuple[str, Document]]:
    """(API path, object) of everything DNS needs.

    CoreDNS is a process of the control plane; a Service without selector and an EndpointSlice lead to it
    (kubernetes.io/docs/concepts/services-networking/service, "Services without selectors").
    """
    namespace, name = "kube-system", "kube-dns"
    ports = [
        {"name": n, "port": 53, "protocol": p, "targetPort": DNS_PORT} for n, p in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    service: Document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {**_LABELS, "k8s-app": name}},
        "spec": {"clusterIP": spec.dns_service, "ports": ports},
    }
    endpoints: Document = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "labels": {
                **_LABELS,
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "limani",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [spec.gateway], "conditions": {"ready": True}}],
        "ports": [{"name": p["name"], "port": DNS_PORT, "protocol": p["protocol"]} for p in ports],
    }
    return [
        (f"{_RBAC}/clusterroles/limani:dns", _role()),
        (f"{_RBAC}/clusterrolebindings/limani:dns", _binding()),
        (f"/api/v1/namespaces/{namespace}/services/{name}", service),
        (f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{name}", endpoints),
    ]


def _role() -> Document:
    watch = ["list", "watch"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "limani:dns", "labels": _LABELS},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": watch},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
        ],
    }


def _binding() -> Document:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "limani:dns", "labels": _LABELS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limani:dns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limani:dns"}],
    }
