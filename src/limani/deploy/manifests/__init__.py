"""The agent's Kubernetes objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jinja2
import yaml

from limani.wire import NAMESPACE, PORT

ALL_TAINTS = ({"operator": "Exists"},)


@dataclass(frozen=True)
class Wanted:
    """How the agent shall be installed. ``digest``: of its image, so that a new build under an old tag rolls out."""

    image: str
    digest: str = ""
    namespace: str = NAMESPACE
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ALL_TAINTS
    docker: bool = False
    containerd_run: str = "/run/containerd"
    containerd_root: str = "/var/lib/containerd"


def render(wanted: Wanted) -> list[dict[str, Any]]:
    """All objects, in the order they have to be created (the namespace first)."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; every value is JSON-encoded by the template
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(files(__name__).joinpath("agent.yaml.j2").read_text())
    text = template.render(
        namespace=wanted.namespace,
        image=wanted.image,
        digest=wanted.digest,
        pull_policy=wanted.pull_policy,
        pull_secrets=[{"name": name} for name in wanted.pull_secrets],
        node_selector=wanted.node_selector,
        tolerations=list(wanted.tolerations),
        docker=wanted.docker,
        containerd_run=wanted.containerd_run,
        containerd_root=wanted.containerd_root,
        port=PORT,
    )
    return [document for document in yaml.safe_load_all(text) if document]
