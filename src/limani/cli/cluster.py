"""``limani cluster``: make and look after lab clusters on this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from limani.cli import output
from limani.cli.output import output_option

if TYPE_CHECKING:
    from limani.cluster.backend import Backend
    from limani.cluster.hosted.base import HostedBackend
    from limani.cluster.native.cluster import NativeCluster
    from limani.cluster.status import ClusterStatus, ProcessStatus

F = TypeVar("F", bound=Callable[..., Any])

_HELP_NAME = "Name of the cluster."
# The positional NAME of commands about whole clusters.
_name = click.argument("name", default="lab", envvar="LIMANI_CLUSTER")


def _cluster_option(function: F) -> F:
    """``--cluster NAME`` for commands about a part of a cluster; passed on as ``name``."""
    option = click.option(
        "-c", "--cluster", "name", default="lab", envvar="LIMANI_CLUSTER", show_default=True, help=_HELP_NAME
    )
    return option(function)


def _backend(name: str = "") -> Backend | HostedBackend:
    """The backend that made the cluster of that name, as far as Limani knows; else the native one."""
    from limani.cluster import backend
    from limani.cluster.hosted import base, task

    hosted = task.backend_of(name) if name and name not in backend.get("native").names() else None
    return base.get(hosted) if hosted else backend.get("native")


def _open(name: str) -> NativeCluster:
    from limani.cluster.native.cluster import NativeCluster

    return NativeCluster.open(name)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cluster() -> None:
    """Make and look after lab clusters on this machine."""


@cluster.command()
@_name
@click.option("--nodes", type=int, default=3, show_default=True, help="How many nodes, 1 to 9.")
@click.option(
    "--backend",
    type=click.Choice(["native", "kind", "minikube"]),
    default="native",
    show_default=True,
    help="What makes it.",
)
@click.option("--kubernetes-version", help="Version of Kubernetes; the default is the one this release is tested with.")
@click.option("--docker", is_flag=True, help="Run a dockerd on every node besides containerd.")
@click.option("--node-subnet", help="IPv4 network of the nodes; chosen free by default.")
@click.option("--pod-subnet", help="IPv4 network of the pods; chosen free by default.")
@click.option("--service-subnet", help="IPv4 network of the Services; chosen free by default.")
@click.option("--api-port", type=int, help="Port of the API server; chosen free by default.")
@click.option(
    "--node-disk", multiple=True, metavar="[NODE=]SIZE", help="Limit the disk of all nodes or of one (n2=300M)."
)
@click.option("--binaries", type=click.Path(), help="Folder with the binaries; else the cache, a download, a compiler.")
@click.option("--mirror", help="Download the binaries from here instead of the projects' own sites.")
@click.option("--image", help="Image of the nodes (kind, minikube).")
@click.option("--api-address", help="Address the API server listens on (kind).")
@click.option("--runtime", type=click.Choice(["containerd", "docker"]), help="Runtime of the nodes (minikube).")
@click.option(
    "--mount", "mounts", multiple=True, metavar="HOST:NODE[:ro]", help="A folder in every node (kind, minikube)."
)
@click.option(
    "--port", "ports", multiple=True, metavar="HOST:NODE", help="A port to the control plane (kind, minikube)."
)
@click.option("--memory", help="Memory of each node, 2G for example (minikube).")
@click.option("--adopt", is_flag=True, help="Look after a cluster made without Limani (kind, minikube).")
@click.option("--timeout", type=float, default=120, show_default=True, help="Seconds until it counts as failed.")
@click.option("--keep", is_flag=True, help="Leave what there is when it fails, to look at it.")
@output_option
def create(output: str, timeout: float, keep: bool, backend: str, **options: Any) -> None:
    """Make a cluster and wait until its nodes are Ready and its DNS answers."""
    began = time.monotonic()

    def progress(text: str) -> None:
        click.echo(f"{time.monotonic() - began:6.1f} s  {text}", err=True)

    made = _create(backend, options, progress, keep, timeout)
    progress(f"Cluster {made.name} is ready")
    if output == "json":
        _json(made)
    else:
        click.echo(f"export KUBECONFIG={made.kubeconfig}")


def _create(
    backend: str, options: dict[str, Any], progress: Callable[[str], None], keep: bool, timeout_s: float
) -> ClusterStatus:
    from limani.cluster import backend as backends
    from limani.cluster.hosted import base
    from limani.cluster.hosted import options as hosted
    from limani.cluster.spec import Request, parse_node_disks

    disks = parse_node_disks(options.pop("node_disk"))
    if backend == "native":
        hosted.refuse_for_native(options)
        request = Request(node_disks=disks, **{k: value for k, value in options.items() if k not in hosted.OWN})
        return backends.get("native").create(request, progress=progress, keep=keep, timeout_s=timeout_s)
    wanted = hosted.request_from(options | {"node_disks": disks})
    chosen = base.get(backend)
    if wanted.adopt:
        base.refuse_differences(backend, wanted.name, chosen.differences(wanted))
        chosen.adopt(wanted)
        return chosen.status(wanted.name)
    return chosen.create(wanted, progress=progress, keep=keep, timeout_s=timeout_s)


@cluster.command()
@_name
@output_option
def delete(name: str, output: str) -> None:
    """Remove a cluster and everything of it; it is fine if there is none."""
    removed = _backend(name).delete(name)
    if output == "json":
        _json({"name": name, "changed": removed})
    else:
        click.echo(f"Cluster {name} is deleted." if removed else f"There is no cluster {name}.")


@cluster.command("list")
@output_option
def list_(output: str) -> None:
    """List the clusters of this machine."""
    from limani.cluster.hosted import task

    backend = _backend()
    found = [*(backend.status(name) for name in backend.names()), *task.statuses()]
    if output == "json":
        _json(found)
    else:
        rows = [(c.name, c.state, c.kubernetes_version, f"{_ready(c)}/{len(c.nodes)}", c.server) for c in found]
        _table(("name", "state", "version", "ready", "server"), rows)


@cluster.command()
@_name
@output_option
def status(name: str, output: str) -> None:
    """Show a cluster's nodes and processes. Exit code 1 unless it is running."""
    found = _backend(name).status(name)
    if output == "json":
        _json(found)
    else:
        click.echo(f"{found.name}: {found.state}, Kubernetes {found.kubernetes_version}, {found.server}")
        click.echo()
        ready = {True: "yes", False: "no", None: "?"}
        rows = [(n.name, n.state, ready[n.ready], n.address, n.netns, n.link) for n in found.nodes]
        _table(("node", "state", "ready", "address", "netns", "link"), rows)
        click.echo()
        _print_processes([*found.processes, *(process for node in found.nodes for process in node.processes)])
    if found.state != "running":
        sys.exit(1)


@cluster.command()
@_name
@click.option("--path", is_flag=True, help="Print where the file is instead of its text.")
def kubeconfig(name: str, path: bool) -> None:
    """Print the administrator's kubeconfig."""
    file = _backend(name).kubeconfig(name)
    click.echo(str(file) if path else file.read_text().rstrip("\n"))


@cluster.command()
@_name
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--node", "nodes", multiple=True, help="Only into this node (may be repeated).")
def load(name: str, archive: Path, nodes: tuple[str, ...]) -> None:
    """Import an image archive whole into containerd of every node (limani load moves only what is missing)."""
    _backend(name).load(name, archive, nodes or None)


@cluster.command()
@_name
@click.argument("process", required=False)
@click.option("--tail", "lines", type=int, default=20, show_default=True, help="How many lines from the end.")
@output_option
def logs(name: str, process: str | None, lines: int, output: str) -> None:
    """Show the last lines of the logs of all processes or one (etcd, n1/kubelet, n1/boot, ...)."""
    from limani.cluster.native import logs as native_logs
    from limani.errors import BadInput

    files = native_logs.files(_open(name).layout)
    if process is not None and process not in files:
        raise BadInput(f"There is no log of {process!r}; there are {', '.join(files)}.", process=process)
    found = {key: native_logs.tail(file, lines) for key, file in files.items() if process in (None, key)}
    if output == "json":
        _json(found)
        return
    for key, text in found.items():
        if process is None:
            click.echo(f"==> {key} ({files[key]})")
        click.echo("\n".join(text))


@cluster.command()
@output_option
def doctor(output: str) -> None:
    """Say what this machine lacks for a native cluster and how to get it. Exit code 1 if something is missing."""
    from limani.cluster import doctor as examination

    checks = examination.examine()
    if output == "json":
        _json(checks)
    else:
        _table(("check", "state", "found"), [(check.name, check.state, check.found) for check in checks])
        for check in checks:
            if check.hint and check.state != "ok":
                click.echo(f"{check.name}: {check.hint}")
    if any(check.state == "missing" for check in checks):
        sys.exit(1)


@cluster.group()
def node() -> None:
    """Switch nodes, plug their cables, run commands in them."""


def _node_command(function: Callable[[NativeCluster, str], bool]) -> click.Command:
    """A command NODE that changes something; it prints whether anything was to do."""

    @click.argument("node")
    @_cluster_option
    @output_option
    def run(node: str, name: str, output: str) -> None:
        from limani.cluster.hosted import base, task
        from limani.cluster.native.lock import cluster_lock

        power = function.__name__.strip("_")
        if power in ("start", "stop") and (hosted := task.backend_of(name)):
            changed = getattr(base.get(hosted), power)(name, node)
        else:
            found = _open(name)
            with cluster_lock(name):
                changed = function(found, node)
        if output == "json":
            _json({"cluster": name, "node": node, "changed": changed})
        else:
            click.echo(f"{node}: {'done' if changed else 'nothing to do'}")

    return click.command(function.__name__.strip("_"), help=function.__doc__)(run)


def start(found: NativeCluster, node: str) -> bool:
    """Switch a node on."""
    return found.start_node(node)


def stop(found: NativeCluster, node: str) -> bool:
    """Pull a node's plug: all its processes are gone at once, as in a power cut."""
    return found.stop_node(node)


def connect(found: NativeCluster, node: str) -> bool:
    """Plug a node's network cable in again."""
    return found.connect_node(node, connected=True)


def disconnect(found: NativeCluster, node: str) -> bool:
    """Pull a node's network cable; its processes go on."""
    return found.connect_node(node, connected=False)


for _function in (start, stop, connect, disconnect):
    node.add_command(_node_command(_function))


@node.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_cluster_option
def exec_(node: str, command: tuple[str, ...], name: str) -> None:
    """Run a command inside a node; its exit code is passed on."""
    sys.exit(subprocess.call(_open(name).command(node, command)))


@cluster.group()
def process() -> None:
    """Stop and start single processes: etcd, kube-scheduler, n1/kubelet, ..."""


@process.command("list")
@_cluster_option
@output_option
def process_list(name: str, output: str) -> None:
    """List the processes and their state."""
    found = _backend().status(name)
    processes = [*found.processes, *(process for node in found.nodes for process in node.processes)]
    if output == "json":
        _json(processes)
    else:
        _print_processes(processes)


def _process_command(verb: str, text: str) -> None:
    @process.command(verb, help=text)
    @click.argument("process_name", metavar="PROCESS")
    @_cluster_option
    @output_option
    def run(process_name: str, name: str, output: str) -> None:
        found = _open(name)
        changed = {"start": found.start_process, "stop": found.stop_process, "restart": found.restart_process}[verb](
            process_name
        )
        if output == "json":
            _json({"cluster": name, "process": process_name, "changed": changed})
        else:
            click.echo(f"{process_name}: {'done' if changed else 'nothing to do'}")


_process_command("stop", "Stop a process; it stays down until it is started.")
_process_command("start", "Start a process.")
_process_command("restart", "Stop a process and start it again.")


def _ready(status: ClusterStatus) -> int:
    return sum(node.ready is True for node in status.nodes)


def _print_processes(processes: list[ProcessStatus]) -> None:
    _table(("process", "state", "pid"), [(process.name, process.state, process.pid or "") for process in processes])


def _json(data: object) -> None:
    output.json(data)


_table = output.table


if __name__ == "__main__":
    from limani.cli.main import main

    main(["cluster", *sys.argv[1:]])
