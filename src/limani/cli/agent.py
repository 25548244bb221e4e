"""``limani agent``: install, look at and remove the agents of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from limani.cli import output
from limani.errors import SomeNodesFailed

F = TypeVar("F", bound=Callable[..., Any])


def _options(function: F) -> F:
    options = [
        click.option("--kubeconfig", envvar="KUBECONFIG", help="Path of the kubeconfig (default ~/.kube/config)."),
        click.option("--context", help="Context of the kubeconfig (default: its current one)."),
        click.option("--namespace", default="limani-system", show_default=True, help="Namespace of the agents."),
        output.output_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.group()
def agent() -> None:
    """Install, look at and remove the agents of a cluster."""


@agent.command("install")
@click.option("--image", help="Reference of the agent's image in a registry the nodes can pull from.")
@click.option("--archive", type=click.Path(exists=True), help="Archive of the agent's image; lab clusters only.")
@click.option("--docker", is_flag=True, help="The nodes run dockerd too: serve both runtimes.")
@click.option("--timeout", default=300, show_default=True, help="Seconds to wait until all agents are ready.")
@click.option("--dry-run", is_flag=True, help="Say what would change.")
@_options
def install(**options: Any) -> None:
    """Install or upgrade the agents and wait until each is ready."""
    archive = options.pop("archive")
    _run(options | {"archive": str(Path(archive).absolute()) if archive else None}, "present")


@agent.command("remove")
@click.option("--timeout", default=300, show_default=True, help="Seconds to wait until everything is gone.")
@click.option("--dry-run", is_flag=True, help="Say what would change.")
@_options
def remove(**options: Any) -> None:
    """Remove the agents and everything that belongs to them; the images on the nodes stay."""
    _run(options, "absent")


@agent.command("status")
@_options
def status(**options: Any) -> None:
    """Show the agent of every node: version, runtime, disk."""
    from limani.deploy.task import node_agent_info

    result = node_agent_info(options)
    if options["output"] == "json":
        output.json(result)
        return
    if not result["installed"]:
        click.echo("No agent is installed (limani agent install).")
        return
    rows = []
    for name, node in result["nodes"].items():
        engine = node.get("engine") or {}
        disk = min(node.get("disks") or [{"free": 0}], key=lambda entry: int(entry["free"]))
        runtime = f"{engine.get('name', '-')} {engine.get('version', '')}".strip()
        state = "ready" if not node["failed"] else f"failed: {node['reason']}"
        rows.append(
            (name, state, node.get("version", "-"), runtime, output.size(disk["free"]) if disk["free"] else "-")
        )
    output.table(("node", "state", "version", "runtime", "free disk"), rows)


def _run(options: dict[str, Any], state: str) -> None:
    from limani.deploy.task import node_agent

    def progress(line: str) -> None:
        if options["output"] != "json":
            click.echo(line, err=True)

    failed: SomeNodesFailed | None = None
    try:
        result = node_agent(options | {"state": state}, check=options["dry_run"], progress=progress)
    except SomeNodesFailed as error:
        failed, result = error, error.fields
    if options["output"] == "json":
        output.json(result)
    else:
        names = sorted(result["diff"]["before"])
        would = "would change" if options["dry_run"] else "changed"
        click.echo(f"{would}: {', '.join(names) or 'nothing'}")
        output.table(
            ("node", "ready", "pod"), [(n, v["ready"], v["pod"] or v["reason"]) for n, v in result["nodes"].items()]
        )
    if failed:
        raise failed
