"""The main job, end to end: a real cluster, agents, images seeded onto all nodes, a pod of each on every node.

Run it with ``make demo``. The cluster is left running. ``LIMANI_DEMO_IMAGES=archive`` or ``registry`` decides where the
images come from instead of looking whether a registry answers; ``LIMANI_DEMO_REGISTRY`` names another registry than
Docker Hub; ``LIMANI_BINARIES`` a folder with the cluster's binaries.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from images.agent import build as agent_image  # noqa: E402
from images.demo import build as demo_images  # noqa: E402
from limani.cli import output  # noqa: E402
from limani.errors import CommandFailed, LimaniError  # noqa: E402
from limani.kube.apply import apply  # noqa: E402
from limani.kube.session import KubeSession  # noqa: E402

CLUSTER = os.environ.get("LIMANI_DEMO_CLUSTER", "demo")
NAMESPACE = "demo"
PODS_TIMEOUT_S = 60


@dataclass(frozen=True)
class Service:
    """A pod of the demo: an image, and what to run in it if not its own command."""

    name: str
    image: str
    port: int
    command: tuple[str, ...] = ()


class Steps:
    """Headings with the time since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """Begin the next step."""
        print(f"\n[{time.monotonic() - self._begun:5.1f} s] {text}", flush=True)


def main() -> int:
    """Run the demo; exit code 1 with a plain message when something is not as it should be."""
    try:
        return demo(Steps())
    except LimaniError as error:
        print(f"\ndemo: {error.message}\n  hint: {error.hint}", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"\ndemo: {' '.join(error.cmd[:4])} ... ended with exit code {error.returncode}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: stopped; make clean deletes the cluster.", file=sys.stderr)
        return 130
    return 1


def demo(steps: Steps) -> int:
    """The steps, in order."""
    steps.say(f"A cluster of three nodes, called {CLUSTER}")
    kubeconfig = cluster()
    steps.say("The images (built from Debian packages the first time)")
    archive = agent_image.build()
    images, services = seeds()
    steps.say("An agent on every node: ansible-playbook playbooks/agent.yml")
    playbook("agent.yml", {"agent_kubeconfig": str(kubeconfig), "agent_archive": str(archive)})
    variables = {"kubeconfig": str(kubeconfig), "images": images}
    steps.say("Seeding: ansible-playbook playbooks/seed-images.yml")
    playbook("seed-images.yml", variables)
    steps.say("Seeding again: nothing is missing, nothing is sent")
    playbook("seed-images.yml", variables)
    steps.say("A pod of each image on every node, with imagePullPolicy: Never")
    answers = asyncio.run(run_pods(kubeconfig, services))
    output.table(("node", "pod", "image", "answers"), answers)
    steps.say("Done. The cluster goes on running:")
    print(f"  export KUBECONFIG={kubeconfig}")
    print("  .venv/bin/limani images                 what the nodes hold")
    print(f"  .venv/bin/limani cluster status {CLUSTER}    how it is")
    print("  make clean                              deletes it")
    return 0


def cluster() -> Path:
    """Path of the kubeconfig of a cluster that runs; made unless it is there, made anew if it does not run."""
    limani = [sys.executable, "-m", "limani.cli.main", "cluster"]
    if subprocess.run([*limani, "status", CLUSTER], check=False, capture_output=True).returncode:
        subprocess.run([*limani, "delete", CLUSTER], check=True, stdout=subprocess.DEVNULL)
        binaries = os.environ.get("LIMANI_BINARIES")
        run([*limani, "create", CLUSTER, "--nodes", "3", *(["--binaries", binaries] if binaries else [])])
    path = subprocess.run([*limani, "kubeconfig", CLUSTER, "--path"], check=True, capture_output=True, text=True)
    return Path(path.stdout.strip())


def run(command: Sequence[str], **environment: str) -> None:
    """Run a command with its output on ours."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def playbook(name: str, variables: dict[str, Any]) -> None:
    """Run one of the collection's playbooks."""
    tree = subprocess.run([ROOT / "scripts/collection_tree.sh"], check=True, capture_output=True, text=True)
    ansible = str(Path(sys.executable).parent / "ansible-playbook")
    run(
        [ansible, str(ROOT / "playbooks" / name), "-e", json.dumps(variables)],
        ANSIBLE_COLLECTIONS_PATH=tree.stdout.strip(),
        ANSIBLE_LOCALHOST_WARNING="False",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="False",
    )


def seeds() -> tuple[list[dict[str, Any]], tuple[Service, ...]]:
    """What to seed, and what to run of it: from a registry where one answers, else built from Debian packages."""
    registry = os.environ.get("LIMANI_DEMO_REGISTRY", "docker.io")
    how = os.environ.get("LIMANI_DEMO_IMAGES") or ("registry" if answers(registry) else "archive")
    if how == "registry":
        print(f"nginx and Python from the registry {registry}")
        names = {name: f"{registry}/library/{name}" for name in ("nginx:stable", "python:3.13-slim")}
        serve = ("python3", "-m", "http.server", "8080")
        services = (
            Service("web", names["nginx:stable"], 80),
            Service("hello", names["python:3.13-slim"], 8080, serve),
        )
        return [{"name": name} for name in names.values()], services
    archive = demo_images.build()
    print(f"no registry is used: nginx and a Python service, built from Debian packages, in {archive}")
    services = (Service("web", "limani.dev/demo/web:1", 8080), Service("hello", "limani.dev/demo/hello:1", 8080))
    return [{"archive": str(archive)}], services


def answers(registry: str) -> bool:
    """Whether a registry answers within three seconds (OCI Distribution, section "API"; 401 is an answer too)."""
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    try:
        return httpx2.get(f"https://{host}/v2/", timeout=3).status_code in (200, 401)
    except httpx2.HTTPError:
        return False


async def run_pods(kubeconfig: Path, services: Sequence[Service]) -> list[tuple[str, str, str, str]]:
    """Start a DaemonSet per service; (node, pod, image, answer) of every pod. Raises LimaniError."""
    async with KubeSession.open(str(kubeconfig)) as session:
        nodes = len((await session.get("/api/v1/nodes"))["items"])
        await apply(session, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, check=False)
        for service in services:
            await apply(session, daemon_set(service), check=False)
        pods = await ready_pods(session, nodes * len(services))
    rows = []
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
        for pod in pods:
            container = pod["spec"]["containers"][0]
            address = f"http://{pod['status']['podIP']}:{container['ports'][0]['containerPort']}/"
            text = (await http.get(address)).raise_for_status().text
            line = next((line.strip() for line in text.splitlines() if line.strip()), "")
            rows.append((pod["spec"]["nodeName"], pod["metadata"]["name"], container["image"], line[:80]))
    return sorted(rows)


async def ready_pods(session: KubeSession, wanted: int) -> list[dict[str, Any]]:
    """All pods of the demo once ``wanted`` of them are ready. Raises CommandFailed naming those that are not."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    pods: dict[str, dict[str, Any]] = {}
    try:
        async with asyncio.timeout(PODS_TIMEOUT_S), session.watch(path) as events:
            async for event in events:
                pod = event["object"]
                pods[pod["metadata"]["name"]] = pod
                if event["type"] == "DELETED":
                    del pods[pod["metadata"]["name"]]
                if sum(is_ready(pod) for pod in pods.values()) == wanted:
                    return list(pods.values())
    except TimeoutError:
        pass
    lacking = [f"{name} ({why(pod)})" for name, pod in sorted(pods.items()) if not is_ready(pod)]
    raise CommandFailed(
        f"Of {wanted} pods these are not ready after {PODS_TIMEOUT_S} s: {', '.join(lacking) or 'all are missing'}.",
        hint=f"kubectl -n {NAMESPACE} describe pods shows their events.",
    )


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a pod's condition Ready is true and it is not on its way out."""
    conditions = pod["status"].get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def why(pod: dict[str, Any]) -> str:
    """Why a pod is not ready, in the kubelet's words."""
    for status in pod["status"].get("containerStatuses", []):
        for state in status["state"].values():
            if state.get("reason"):
                return f"{state['reason']}: {state.get('message', '')}".rstrip(": ")
    return str(pod["status"].get("phase", "unknown"))


def daemon_set(service: Service) -> dict[str, Any]:
    """A pod of the service on every node, from the image the node holds and from no registry."""
    labels = {"app": service.name}
    container: dict[str, Any] = {
        "name": service.name,
        "image": service.image,
        "imagePullPolicy": "Never",
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "ports": [{"containerPort": service.port}],
        "readinessProbe": {"httpGet": {"path": "/", "port": service.port}, "periodSeconds": 1},
    }
    if service.command:
        container["command"] = list(service.command)
    pod = {
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": service.name, "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


if __name__ == "__main__":
    sys.exit(main())
