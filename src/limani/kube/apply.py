"""Creating, changing and deleting objects by server-side apply; check mode is the API server's own dry run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limani.errors import KubeError
from limani.kube.session import KubeSession

MANAGER = "limani"
PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "NetworkPolicy": "networkpolicies",
    "DaemonSet": "daemonsets",
}
Object = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What applying did, or would do: the objects without what the server adds by itself; None: does not exist."""

    name: str  # Kind/name
    before: Object | None
    after: Object | None

    @property
    def changed(self) -> bool:
        """Whether there is a difference."""
        return self.before != self.after


def path_of(item: Object) -> str:
    """The URL path of an object."""
    version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{namespace}/{PLURALS[kind]}/{metadata['name']}"


async def apply(session: KubeSession, item: Object, *, check: bool) -> Change:
    """Make an object as described, or find out what that would change. Raises Forbidden, KubeError."""
    name = f"{item['kind']}/{item['metadata']['name']}"
    before = await session.find(path_of(item))
    if before is not None and before["metadata"].get("deletionTimestamp"):
        text = f"{name} is being deleted right now."
        raise KubeError(text, hint="Wait until it is gone (kubectl get namespace) and run again.", status=409)
    if check and before is None:
        return Change(name, None, item)
    query = {"fieldManager": MANAGER, "force": "true"} | ({"dryRun": "All"} if check else {})
    after = await session.request(
        "PATCH", path_of(item), body=item, params=query, content_type="application/apply-patch+yaml"
    )
    return Change(name, essence(before), essence(after))


async def delete(session: KubeSession, item: Object, *, check: bool) -> Change:
    """Delete an object and what belongs to it, or find out whether there is one."""
    name = f"{item['kind']}/{item['metadata']['name']}"
    before = await session.find(path_of(item))
    if before is None:
        return Change(name, None, None)
    if not check:
        try:
            await session.request("DELETE", path_of(item), body={"propagationPolicy": "Foreground"})
        except KubeError as error:
            if error.fields.get("status") != 404:
                raise
    return Change(name, essence(before), None)


def essence(item: Object | None) -> Object | None:
    """An object without what the server keeps about it."""
    if item is None:
        return None
    kept = {"name", "namespace", "labels", "annotations"}
    metadata = {key: value for key, value in item["metadata"].items() if key in kept}
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": metadata}
