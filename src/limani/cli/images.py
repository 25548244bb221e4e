"""``limani load|images|rmi|prune|pin``: the images on the nodes, from the shell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from limani.cli import output
from limani.errors import SomeNodesFailed

F = TypeVar("F", bound=Callable[..., Any])


def cluster_options(function: F) -> F:
    """Which cluster and which of its nodes."""
    options = [
        click.option("--kubeconfig", envvar="KUBECONFIG", help="Path of the kubeconfig (default ~/.kube/config)."),
        click.option("--context", help="Context of the kubeconfig (default: its current one)."),
        click.option("--namespace", default="limani-system", show_default=True, help="Namespace of the agents."),
        click.option("--node", "nodes", multiple=True, help="Only this node; may be given several times."),
        click.option("-l", "--selector", "node_selector", help="Only nodes with these labels."),
        click.option("--engine", type=click.Choice(["auto", "containerd", "docker"]), default="auto"),
        click.option("--min-success", default="100%", show_default=True, help="Nodes that must succeed: 3 or 80%."),
        output.output_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def change_options(function: F) -> F:
    """Options of commands that change nodes."""
    options = [
        click.option("--dry-run", is_flag=True, help="Say what would be done, per node, and touch nothing."),
        click.option("--timeout", default=1800, show_default=True, help="Seconds the whole may take."),
        click.option("--label-nodes", is_flag=True, help="Keep a label on the nodes that hold the images."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("names", nargs=-1, metavar="[IMAGE]...")
@click.option("-i", "--archive", "archives", multiple=True, type=click.Path(exists=True), help="Archive or OCI layout.")
@click.option("--from", "source", type=click.Choice(["registry", "docker", "containerd", "node"]), default="registry")
@click.option("--from-node", help="With --from node: the node that holds the images.")
@click.option("--socket", help="With --from docker or containerd: its socket.")
@click.option("--platform", help="This platform for all nodes, e.g. linux/arm64 (default: each node's own).")
@click.option("--auth-file", type=click.Path(exists=True), help="Registry credentials as docker login writes them.")
@click.option("--pull-secret", "secrets", multiple=True, metavar="[NAMESPACE/]NAME", help="Secret with credentials.")
@click.option("--ca-file", type=click.Path(exists=True), help="CA of the registries the images come from.")
@click.option("--plain-http", is_flag=True, help="Speak to the registries without TLS.")
@click.option(
    "--pin/--no-pin", "pin", default=None, help="Protect from the kubelet's garbage collection, or stop that."
)
@click.option("--rate", help="Bytes per second on each link, e.g. 50M.")
@change_options
@cluster_options
def load(names: tuple[str, ...], archives: tuple[str, ...], **options: Any) -> None:
    """Put images onto nodes.

    From archives (-i FILE; IMAGE then chooses among their images), a registry, the local Docker or containerd, or
    another node. Only what a node lacks is sent, each byte once.
    """
    if not names and not archives:
        raise click.UsageError("Name an image, or an archive with -i.")
    params = _params(options)
    params["images"] = list(_images(names, archives, options))
    params["registries"] = _registries(names, options)
    params["pull_secrets"] = [_secret(text) for text in options["secrets"]]
    _change(params, options)


def _images(names: tuple[str, ...], archives: tuple[str, ...], options: dict[str, Any]) -> Any:
    common = {"platform": options["platform"], "socket": options["socket"]}
    for archive in archives:
        path = str(Path(archive).absolute())
        for name in names or (None,):
            yield common | {"name": name, "source": "archive", "archive": path}
    if not archives:
        for name in names:
            yield common | {"name": name, "source": options["source"], "node": options["from_node"]}


def _registries(names: tuple[str, ...], options: dict[str, Any]) -> list[dict[str, Any]]:
    if not (options["ca_file"] or options["plain_http"]):
        return []
    from limani.image.reference import Reference

    hosts = {Reference.parse(name).registry for name in names}
    return [
        {"host": host, "ca_file": options["ca_file"], "plain_http": options["plain_http"]} for host in sorted(hosts)
    ]


def _secret(text: str) -> dict[str, str]:
    namespace, _, name = text.rpartition("/")
    return {"namespace": namespace or "default", "name": name}


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--force", is_flag=True, help="Also where containers use the image.")
@change_options
@cluster_options
def rmi(names: tuple[str, ...], **options: Any) -> None:
    """Remove images from nodes by name."""
    params = _params(options) | {"state": "absent", "force": options["force"]}
    params["images"] = [{"name": name} for name in names]
    _change(params, options)


@click.command()
@click.option("--keep", type=click.IntRange(min=0), help="Leave the newest N images of every repository.")
@click.option("--older-than", help="Only what came onto the node longer ago: 36h, 7d, 2w.")
@click.option("--pattern", "patterns", multiple=True, help="Only names that fit, e.g. 'docker.io/library/*'.")
@change_options
@cluster_options
def prune(keep: int | None, older_than: str | None, patterns: tuple[str, ...], **options: Any) -> None:
    """Remove images nobody needs: all conditions given must fit.

    Always kept: pinned images, images containers use, the pause image and the agent's own.
    """
    params = _params(options) | {"state": "pruned"}
    params["prune"] = {"keep": keep, "older_than": older_than, "patterns": list(patterns)}
    _change(params, options)


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--off", is_flag=True, help="Unpin.")
@cluster_options
def pin(names: tuple[str, ...], off: bool, **options: Any) -> None:
    """Protect images on the nodes from the kubelet's garbage collection, or stop doing so (--off)."""
    from limani.seed.task import node_image_pin

    params = _params(options) | {"names": list(names), "pinned": not off}
    _show(node_image_pin(params), options["output"])


@click.command()
@click.argument("names", nargs=-1, metavar="[IMAGE]...")
@cluster_options
def images(names: tuple[str, ...], **options: Any) -> None:
    """List the images the nodes hold (IMAGE: names or patterns to look for)."""
    from limani.seed.task import node_image_info

    failed: SomeNodesFailed | None = None
    try:
        result = node_image_info(_params(options) | {"images": list(names)})
    except SomeNodesFailed as error:
        failed, result = error, error.fields
    if options["output"] == "json":
        output.json(result)
    else:
        total = result["summary"]["nodes"]
        rows = [
            (i["reference"], _short(i["digests"]), output.size(i["size"]), _nodes(i["nodes"], total))
            for i in result["images"]
        ]
        output.table(("image", "digest", "size", "nodes"), rows)
    if failed:
        raise failed


def _short(digests: list[str]) -> str:
    shown = ",".join(digest.removeprefix("sha256:")[:12] for digest in digests)
    return shown if len(digests) == 1 else f"{shown} (differ)"


def _nodes(names: list[str], total: int) -> str:
    return f"all {total}" if len(names) == total else ",".join(names)


def _params(options: dict[str, Any]) -> dict[str, Any]:
    keys = ("kubeconfig", "context", "namespace", "node_selector", "engine", "min_success", "timeout", "label_nodes")
    params = {key: options.get(key) for key in (*keys, "pin", "rate", "auth_file")}
    return params | {"nodes": list(options["nodes"])}


def _change(params: dict[str, Any], options: dict[str, Any]) -> None:
    """Run it with progress bars, print the table; a failure is raised after the table."""
    from limani.seed import task

    check = bool(options["dry_run"])
    try:
        if options["output"] == "json" or check:
            result = task.node_image(params, check=check, progress=lambda line: None)
        elif sys.stderr.isatty():
            from limani.cli.bars import Bars  # drawing takes a library nobody else needs

            with Bars() as bars:
                result = task.node_image(params, check=False, progress=lambda line: None, on_bytes=bars.on_bytes)
        else:
            result = task.node_image(params, check=False, progress=lambda line: click.echo(line, err=True))
    except SomeNodesFailed as error:
        _show(error.fields, options["output"], check)
        raise
    _show(result, options["output"], check)


def _show(result: dict[str, Any], how: str, check: bool = False) -> None:
    if how == "json":
        output.json(result)
        return
    rows = []
    for name, node in result["nodes"].items():
        first = (output.size(node["bytes"]), f"{node['seconds']:.1f} s", node["source"] or "-")
        if not node["images"]:
            rows.append((name, "-", _state(node, node, check), *first))
        for reference, image in node["images"].items():
            rows.append((name, reference, _state(node, image, check), output.size(image["bytes"]), *first[1:]))
    output.table(("node", "image", "state", "bytes", "time", "from"), rows)
    summary = result["summary"]
    done = (
        f"{summary['ok']} of {summary['nodes']} nodes ok, {summary['changed']} {'would change' if check else 'changed'}"
    )
    click.echo(f"{done}, {output.size(summary['bytes'])} to the nodes, {output.size(summary['uploaded'])} from here")


def _state(node: dict[str, Any], image: dict[str, Any], check: bool) -> str:
    if node["failed"] and not image["changed"]:
        return f"failed: {node['error']['code']}"
    if image["changed"]:
        return ("would be " if check else "now ") + str(image["state"])
    return str(image["state"])
