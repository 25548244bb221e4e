"""Pods for tests, made and watched with the official client: nothing of Limani is in the way."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from kubernetes import client, config, watch


def run_pod(kubeconfig: str, node: str, image: str, command: Sequence[str], timeout_s: int = 60) -> str:
    """Run a pod with imagePullPolicy Never on a node until it ends well; returns its log, deletes it."""
    api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
    name = f"test-{secrets.token_hex(4)}"
    container = {"name": "main", "image": image, "command": list(command), "imagePullPolicy": "Never"}
    spec = {
        "nodeName": node,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    api.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    try:
        wait_phase(api, name, ("Succeeded", "Failed"), timeout_s)
        return str(api.read_namespaced_pod_log(name, "default"))
    finally:
        api.delete_namespaced_pod(name, "default", grace_period_seconds=0)


def wait_phase(api: client.CoreV1Api, name: str, phases: Sequence[str], timeout_s: int) -> str:
    """Wait until a pod of namespace default is in one of the phases; fails with its last state otherwise."""
    last = None
    events = watch.Watch()
    for event in events.stream(
        api.list_namespaced_pod, "default", field_selector=f"metadata.name={name}", timeout_seconds=timeout_s
    ):
        last = event["object"].status
        if last.phase in phases:
            events.stop()
            return str(last.phase)
    raise AssertionError(f"pod {name} is not {phases} after {timeout_s} s: {last}")
