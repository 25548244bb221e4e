"""The mark in a cluster: a ConfigMap that names the labs that may use it by their ids."""

from __future__ import annotations

from limani.errors import KubeError
from limani.kube.session import KubeSession

NAMESPACE, NAME = "kube-system", "limani-lab"
_ALL = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_PATH = f"{_ALL}/{NAME}"
_PATCH = "application/merge-patch+json"
_CONFLICT, _MISSING = 409, 404


async def add(session: KubeSession, lab: str) -> None:
    """Put the id of a lab into the mark, which is made if missing."""
    labels = {"app.kubernetes.io/managed-by": "limani-lab"}
    body = {"metadata": {"name": NAME, "labels": labels}, "data": {lab: "in use"}}
    try:
        await session.request("POST", _ALL, body=body)
    except KubeError as error:
        if error.fields.get("status") != _CONFLICT:
            raise
        await session.request("PATCH", _PATH, body={"data": {lab: "in use"}}, content_type=_PATCH)


async def has(session: KubeSession, lab: str) -> bool:
    """Whether the mark names that lab."""
    found = await session.find(_PATH)
    return lab in ((found or {}).get("data") or {})


async def remove(session: KubeSession, lab: str) -> None:
    """Take a lab's id out of the mark; the mark goes with the last one."""
    try:
        left = await session.request("PATCH", _PATH, body={"data": {lab: None}}, content_type=_PATCH)
        if not left.get("data"):
            version = left["metadata"]["resourceVersion"]
            await session.request("DELETE", _PATH, body={"preconditions": {"resourceVersion": version}})
    except KubeError as error:
        if error.fields.get("status") not in (_MISSING, _CONFLICT):  # gone, or another lab came
            raise
