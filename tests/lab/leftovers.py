"""What the places of a lab hold, for comparison before and after."""

from __future__ import annotations

import asyncio
from typing import Any

from limani.kube.session import KubeSession
from limani.lab import own_kube
from limani.lab.lab import Lab

CLUSTER_WIDE = (
    "/api/v1/namespaces",
    "/api/v1/persistentvolumes",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
)
NAMESPACED = (
    "/api/v1/namespaces/{}/pods",
    "/api/v1/namespaces/{}/services",
    "/api/v1/namespaces/{}/configmaps",
    "/apis/apps/v1/namespaces/{}/deployments",
)
GONE_S = 60.0


async def listing(lab: Lab, gone: str | None = None) -> dict[str, Any]:
    """Names of everything in the lab's Docker daemon and cluster; of the lesson ``gone`` only after it has gone."""
    from limani.lab.place.cluster import cluster_status
    from limani.lab.place.docker import docker_status

    found: dict[str, Any] = {}
    docker, cluster = docker_status(lab.home), cluster_status(lab.home)
    if docker:
        found |= await asyncio.to_thread(_docker, docker.host)
    if cluster:
        async with KubeSession.open(str(cluster.kubeconfig), cluster.context) as session:
            if gone:
                await own_kube.wait_gone(session, lab.lifecycle.lab_id, gone, GONE_S)
            found |= await _cluster(session)
    return found


def _docker(host: str) -> dict[str, Any]:
    from docker import DockerClient

    client = DockerClient(base_url=host, timeout=60)
    try:
        images = client.api.images(all=True)
        return {
            "containers": sorted(item["Id"] for item in client.api.containers(all=True)),
            "images": sorted((item["Id"], sorted(item.get("RepoTags") or ())) for item in images),
            "volumes": sorted(item["Name"] for item in client.api.volumes().get("Volumes") or ()),
            "networks": sorted(item["Name"] for item in client.api.networks()),
        }
    finally:
        client.close()


async def _cluster(session: KubeSession) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in CLUSTER_WIDE:
        found[path] = _names(await session.get(path))
    for path in NAMESPACED:
        for namespace in ("default", "kube-system"):
            found[path.format(namespace)] = _names(await session.get(path.format(namespace)))
    nodes = (await session.get("/api/v1/nodes"))["items"]
    found["nodes"] = sorted(
        (node["metadata"]["name"], sorted(node["metadata"]["labels"].items()), str(node["spec"].get("taints")))
        for node in nodes
    )
    return found


def _names(collection: dict[str, Any]) -> list[str]:
    return sorted(item["metadata"]["name"] for item in collection["items"])
