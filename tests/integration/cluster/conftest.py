"""What the tests of native clusters share: an image to run, kubectl, clusters of their own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from limani.cluster import backend
from limani.cluster.native.cluster import NativeCluster
from limani.cluster.spec import Request
from tests.support.images import make_archive

IMAGE = "test.limani.dev/cluster-busybox:1"


@dataclass(frozen=True)
class Kubectl:
    """kubectl of a cluster."""

    cluster: NativeCluster

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """Run it and return its output."""
        command = [f"{self.cluster.spec.binaries}/kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """``kubectl get ... -o json``."""
        return json.loads(self("get", *arguments, "-o", "json"))

    def run_pods(self, name: str, command: str, *, service: dict[str, object] | None = None) -> list[dict[str, Any]]:
        """A DaemonSet of busybox (and a Service for port 8080), awaited; returns its pods, sorted by node."""
        self("apply", "-f", "-", stdin=json.dumps(_daemon_set(name, command)))
        if service is not None:
            self("apply", "-f", "-", stdin=json.dumps(_service(name, service)))
        count = self.cluster.spec.nodes
        path = "jsonpath={.status.numberReady}=" + str(count)
        self("wait", f"ds/{name}", f"--for={path}", "--timeout=60s")
        pods = self.get("pods", "-l", f"app={name}")["items"]
        return sorted(pods, key=lambda pod: pod["spec"]["nodeName"])


def _daemon_set(name: str, command: str) -> dict[str, object]:
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-c", command],
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "www", "emptyDir": {}}], "terminationGracePeriodSeconds": 0}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def _service(name: str, extra: dict[str, object]) -> dict[str, object]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **extra}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image archive with busybox."""
    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    make_archive(path, IMAGE, [])
    return path


@pytest.fixture(scope="session")
def kubectl(lab: NativeCluster, busybox: Path) -> Kubectl:
    """kubectl of the shared cluster, which has the busybox image."""
    lab.load(busybox)
    return Kubectl(lab)


@pytest.fixture
def make_cluster() -> Iterator[Callable[..., NativeCluster]]:
    """Make clusters of one's own; they are deleted at the end of the test."""
    names: list[str] = []
    native = backend.get("native")

    def make(suffix: str = "own", **options: Any) -> NativeCluster:
        name = f"t{os.getpid()}-{suffix}"
        names.append(name)
        return NativeCluster.open(native.create(Request(name=name, **options), progress=print).name)

    yield make
    for name in names:
        native.delete(name)


def until(condition: Callable[[], object], wait_s: float, what: str) -> None:
    """Wait for a state nobody announces; fail after ``wait_s`` seconds."""
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {wait_s} s in vain: {what}"
        time.sleep(0.1)
