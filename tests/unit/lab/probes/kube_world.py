"""A world whose API server is a table of answers, for tests of the Kubernetes probes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from limani.kube.session import KubeSession
from limani.lab.world import World

NAMESPACE = "pods"
Object = dict[str, Any]
Answer = Object | str | int | Callable[[httpx2.Request], "Object | str | int"]


class Api:
    """Answers by path: an object is JSON, a text is 200 with that text, a number is that status, else 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[httpx2.Request] = []

    def has(self, kind: str, *objects: Object, prefix: str = "/api/v1") -> None:
        """The namespace holds these objects; a list honours labelSelector."""
        folder = f"{prefix}/namespaces/{NAMESPACE}/{kind}"
        for item in objects:
            self.answers[f"{folder}/{item['metadata']['name']}"] = item
        self.answers[folder] = lambda request: {"items": [o for o in objects if _selected(o, request)]}

    def pod_says(self, name: str, text: Answer, port: int = 8080) -> None:
        """What a Pod answers on a port."""
        self.answers[f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:{port}/proxy/"] = text

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request."""
        self.asked.append(request)
        answer = self.answers.get(request.url.path, 404)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, int):
            return httpx2.Response(answer, json={"kind": "Status", "message": f"status {answer}"})
        if isinstance(answer, str):
            return httpx2.Response(200, text=answer)
        return httpx2.Response(200, content=json.dumps(answer).encode())


def world(api: Api, workspace: Path) -> World:
    """A started lesson in the namespace ``pods``."""
    session = KubeSession.__new__(KubeSession)
    session.server = "https://api"
    session.http = httpx2.AsyncClient(transport=httpx2.MockTransport(api.handle), base_url="https://api")
    made = World("pods", workspace, {}, NAMESPACE, workspace / "k", None, "127.0.0.1", {}, time.time())
    made._open["kube"] = session
    return made


def pod(name: str, *containers: Object, ready: bool = False, phase: str = "Running", **status: Any) -> Object:
    """A Pod with these container statuses; its spec has the same containers and images."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"app": name}},
        "spec": {"containers": [{"name": c["name"], "image": c.get("spec_image", c["image"])} for c in containers]},
        "status": {
            "phase": phase,
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": list(containers),
            **status,
        },
    }


def container(state: Object | None = None, *, name: str = "web", restarts: int = 0, **more: Any) -> Object:
    """A container status, running by default."""
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    return {
        "name": name,
        "image": "web:1",
        "ready": state is None,
        "restartCount": restarts,
        "state": state or running,
        **more,
    }


def _selected(item: Object, request: httpx2.Request) -> bool:
    wanted = dict(pair.split("=") for pair in request.url.params.get("labelSelector", "").split(",") if pair)
    labels = item["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in wanted.items())
