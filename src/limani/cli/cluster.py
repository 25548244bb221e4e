"""``limani cluster``: make and look after lab clusters on this machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from limani.cli import output
from limani.cli.output import output_option


@click.group()
def cluster() -> None:
    """Make and look after lab clusters on this machine."""


@cluster.command()
@click.argument("name", default="lab")
@click.option("--nodes", type=int, default=3, show_default=True, help="How many nodes, 1 to 9.")
@click.option("--kubernetes-version", help="Version of Kubernetes; the default is the one this release is tested with.")
@click.option("--docker", is_flag=True, help="Run a dockerd on every node besides containerd.")
@click.option("--node-subnet", help="IPv4 network of the nodes; chosen free by default.")
@click.option("--pod-subnet", help="IPv4 network of the pods; chosen free by default.")
@click.option("--service-subnet", help="IPv4 network of the Services; chosen free by default.")
@click.option("--api-port", type=int, help="Port of the API server.")
@click.option("--node-disk", multiple=True, metavar="[NODE=]SIZE", help="Limit the nodes' disks, or one node's: n2=300M.")
@click.option("--binaries", type=click.Path(), help="Folder with the cluster's binaries.")
@click.option("--mirror", help="Download the binaries from here instead of the projects' own sites.")
@click.option("--timeout", type=float, default=120, show_default=True, help="Seconds until it counts as failed.")
@click.option("--keep", is_flag=True, help="Leave what there is when it fails, to look at it.")
@output_option
def create(output_: str = "", **options: Any) -> None:
    """Make a cluster and wait until its nodes are Ready and its DNS answers."""
    from limani.cluster.binaries import provide
    from limani.cluster.native import backend
    from limani.cluster.spec import Request, parse_node_disks

    style, timeout, keep = options.pop("output"), options.pop("timeout"), options.pop("keep")
    request = Request(node_disks=parse_node_disks(options.pop("node_disk")), **options)
    began = time.monotonic()

    def progress(text: str) -> None:
        click.echo(f"{time.monotonic() - began:5.1f} s  {text}", err=True)

    backend.need_root()
    folder, version = provide(request.binaries, request.kubernetes_version, mirror=request.mirror, progress=progress)
    made = backend.create(request, folder, version, progress=progress, keep=keep, timeout_s=timeout)
    if style == "json":
        output.json({"name": made.spec.name, "kubeconfig": str(made.kubeconfig)})
    else:
        click.echo(f"export KUBECONFIG={made.kubeconfig}")


@cluster.command()
@click.argument("name", default="lab")
def delete(name: str) -> None:
    """Remove a cluster and everything of it; deleting what does not exist is fine."""
    from limani.cluster.native import backend

    click.echo(f"cluster {name} deleted" if backend.delete(name) else f"there was no cluster {name}")


@cluster.command()
@click.argument("name", default="lab")
def kubeconfig(name: str) -> None:
    """Print the kubeconfig."""
    from limani.cluster.native.cluster import NativeCluster

    click.echo(NativeCluster.open(name).kubeconfig.read_text())


@cluster.command()
@click.argument("name", default="lab")
@click.argument("archive", type=click.Path(path_type=Path))
def load(name: str, archive: Path) -> None:
    """Import an image archive into containerd of every node."""
    from limani.cluster.native.cluster import NativeCluster

    NativeCluster.open(name).load(archive)


if __name__ == "__main__":
    from limani.cli.main import cli

    sys.exit(cli(["cluster", *sys.argv[1:]]))
