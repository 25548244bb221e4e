"""The images inside the node: those kubeadm asks for, and the one of the cluster's network.

Programs that need nothing else are alone in their image; kube-proxy and the network need iptables and nft, which come
from one layer of Debian packages.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from images import cache, debian
from images.debian import DEFAULT_SUITE as SUITE
from images.kind_node.programs import Programs
from limani.cluster.native.images import pause_program
from limani.errors import CommandFailed
from limani.image.writer import (
    File,
    Folder,
    ImageToWrite,
    Layer,
    Symlink,
    build_layer_from_files,
    build_layer_from_tar,
    write_archive,
)

HERE = Path(__file__).resolve().parent
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROUTES = "limani.dev/node-routes:1"
TOOLS = ("base-files", "busybox-static", "iproute2", "iptables", "kmod", "nftables")
"""What kube-proxy and the network use."""


def references(programs: Programs) -> dict[str, str]:
    """Names of the images kubeadm of this version wants, by the last part of their repository."""
    command = [str(programs.kubeadm), "config", "images", "list", "--kubernetes-version", f"v{programs.kubernetes}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CommandFailed(f"kubeadm does not name its images: {done.stderr.strip()}", arguments=command)
    return {line.rpartition("/")[2].partition(":")[0]: line for line in done.stdout.split()}


def write(programs: Programs, names: dict[str, str], work: Path, archive: Path) -> None:
    """Write all images into one OCI archive."""
    layers = work / "layers"
    images = [ImageToWrite(names["pause"], [_pause(layers)], {"Entrypoint": ["/pause"]})]
    accounts = {**debian.accounts(), "tmp": Folder(0o1777)}
    for name, path in (
        ("kube-apiserver", "usr/local/bin/kube-apiserver"),
        ("kube-controller-manager", "usr/local/bin/kube-controller-manager"),
        ("kube-scheduler", "usr/local/bin/kube-scheduler"),
        ("etcd", "usr/local/bin/etcd"),
        ("coredns", "coredns"),
    ):
        files = _files(accounts) | {path: File(programs.path(name), 0o755)}
        layer = build_layer_from_files(files, layers, "zstd", created_by=f"{name} of its Go module")
        images.append(ImageToWrite(names[name], [layer], {"Entrypoint": [f"/{path}"], "Env": [PATH]}))
    tools = _tools(work, accounts)
    for name, reference, program in (
        ("kube-proxy", names["kube-proxy"], programs.path("kube-proxy")),
        ("node-routes", ROUTES, HERE / "routes/node-routes"),
    ):
        own = build_layer_from_files({f"usr/local/bin/{name}": File(program, 0o755)}, layers, "zstd", created_by=name)
        images.append(ImageToWrite(reference, [*tools, own], {"Entrypoint": [f"/usr/local/bin/{name}"], "Env": [PATH]}))
    write_archive(archive, images)


def _files(items: dict[str, str | Folder]) -> dict[str, File | Folder | Symlink]:
    return {path: File(item.encode()) if isinstance(item, str) else item for path, item in items.items()}


def _pause(layers: Path) -> Layer:
    program = pause_program(platform.machine())
    return build_layer_from_files({"pause": File(program, 0o755)}, layers, created_by="pause")


def _tools(work: Path, accounts: dict[str, str | Folder]) -> list[Layer]:
    """A layer of Debian packages and one with what their maintainer scripts would have done."""
    tar = work / "tools.tar"
    cache.say(f"kind node image: {', '.join(TOOLS)} from Debian {SUITE.name}")
    debian.extract(SUITE, TOOLS, tar)
    packages = build_layer_from_tar(tar, work / "layers", "zstd", keep=debian.keep, created_by=f"Debian {SUITE.name}")
    links: dict[str, File | Folder | Symlink] = {
        f"usr/sbin/{family}{action}": Symlink("xtables-nft-multi")
        for family in ("iptables", "ip6tables")
        for action in ("", "-save", "-restore")
    }
    links |= {f"usr/bin/{name}": Symlink("busybox") for name in ("sh", "cat", "mv", "sleep")}
    own = build_layer_from_files(_files(accounts) | links, work / "layers", "zstd", created_by="links and accounts")
    return [packages, own]
