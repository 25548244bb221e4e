"""What a lesson owns in the cluster: its namespace, and the kubeconfig whose context points there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import yaml

from limani.errors import KubeError
from limani.kube.session import KubeSession
from limani.lab.world import CONTEXT

LAB, LESSON = "limani.dev/lab", "limani.dev/lesson"
"""Labels of everything the engine makes."""
_NAMESPACES = "/api/v1/namespaces"
READY_S = 30.0


def write_kubeconfig(target: Path, source: Path, context: str, namespace: str | None) -> None:
    """Write the lab's own kubeconfig: only ``context`` of ``source``, called limani-lab, with a default namespace."""
    data = yaml.safe_load(source.read_text(encoding="utf-8"))
    chosen = next(entry["context"] for entry in data["contexts"] if entry["name"] == context)
    parts = {}
    for kind, plural in (("cluster", "clusters"), ("user", "users")):
        part = next(entry[kind] for entry in data[plural] if entry["name"] == chosen[kind])
        parts[plural] = [{"name": CONTEXT, kind: _absolute(part, source.parent)}]
    inner = {"cluster": CONTEXT, "user": CONTEXT} | ({"namespace": namespace} if namespace else {})
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [{"name": CONTEXT, "context": inner}],
        **parts,
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(yaml.safe_dump(content), encoding="utf-8")
    temporary.replace(target)


def _absolute(part: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths of certificates and keys are relative to the kubeconfig they stand in."""
    files = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return {key: str(folder / value) if key in files else value for key, value in part.items()}


async def make_namespace(session: KubeSession, lesson: str, lab_id: str) -> str:
    """Make the lesson's namespace and wait until pods can be made in it; returns its name.

    The name is the lesson's, with a number while another of that name exists (an old one may take a while to go).
    """
    for number in range(1, 100):
        name = lesson if number == 1 else f"{lesson}-{number}"
        body = {"metadata": {"name": name, "labels": {LAB: lab_id, LESSON: lesson}}}
        try:
            await session.request("POST", _NAMESPACES, body=body)
        except KubeError as error:
            if error.fields.get("status") != 409:
                raise
            continue
        await asyncio.gather(
            _wait_for(session, f"{_NAMESPACES}/{name}/serviceaccounts", "default"),
            _wait_for(session, f"{_NAMESPACES}/{name}/configmaps", "kube-root-ca.crt"),
        )
        return name
    raise KubeError(f"There are 99 namespaces called {lesson}-N.", hint="Delete those you do not need.", status=409)


async def remove_namespaces(session: KubeSession, lab_id: str, lesson: str | None = None) -> list[str]:
    """Begin to delete the lab's namespaces (of one lesson, or all); their pods get a second to end. Returns names."""
    selector = f"{LAB}={lab_id}" + (f",{LESSON}={lesson}" if lesson else "")
    found = await session.get(_NAMESPACES, labelSelector=selector)
    names = [item["metadata"]["name"] for item in found.get("items", [])]
    await asyncio.gather(*(_remove(session, name) for name in names))
    return names


async def _remove(session: KubeSession, name: str) -> None:
    for path, params in (
        (f"{_NAMESPACES}/{name}", {}),  # first, so that nothing makes new pods
        (f"{_NAMESPACES}/{name}/pods", {"gracePeriodSeconds": "1"}),
    ):
        try:
            await session.request("DELETE", path, params=params)
        except KubeError as error:
            if error.fields.get("status") not in (404, 409):
                raise


async def wait_gone(session: KubeSession, lab_id: str, lesson: str, limit_s: float) -> None:
    """Wait until no namespace of the lesson is left. Raises TimeoutError."""
    selector = f"{LAB}={lab_id},{LESSON}={lesson}"
    async with asyncio.timeout(limit_s):
        while True:
            found = await session.get(_NAMESPACES, labelSelector=selector)
            if not found.get("items"):
                return
            version = found["metadata"]["resourceVersion"]
            async with session.watch(_NAMESPACES, labelSelector=selector, resourceVersion=version) as events:
                async for event in events:
                    if event["type"] != "MODIFIED":
                        break


async def _wait_for(session: KubeSession, path: str, name: str) -> None:
    """Wait until an object that a controller makes is there."""
    async with asyncio.timeout(READY_S):
        while True:
            async with session.watch(path, fieldSelector=f"metadata.name={name}") as events:
                async for event in events:
                    if event["type"] == "ADDED":
                        return
