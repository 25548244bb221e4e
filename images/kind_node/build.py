"""Build a node image for kind: ``python -m images.kind_node.build`` prints the path of an archive for ``docker load``.

``--kubernetes-version`` chooses another version. The result is cached by what it is made of; so is the Debian root.
People whose Docker reaches a container registry need none of this: kind's own image is the default of the lab.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from images import cache, debian
from images.debian import EPOCH, SUITES
from images.kind_node import contents, store
from images.kind_node.programs import Programs, programs
from limani.cluster.kind.backend import OUR_IMAGE
from limani.errors import LimaniError
from limani.image.writer import (
    File,
    Folder,
    ImageToWrite,
    Layer,
    Symlink,
    build_layer_from_files,
    build_layer_from_folder,
    build_layer_from_tar,
    write_archive,
)

HERE = Path(__file__).resolve().parent
SUITE = SUITES["bookworm"]
"""systemd 252 is the last that starts on cgroup v1 without being forced."""
PACKAGES = [
    "conntrack",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "libseccomp2",
    "mount",
    "nftables",
    "procps",
    "runc",
    "socat",
    "systemd",
    "systemd-sysv",
]
SERVICES = ("containerd.service", "kubelet.service", "show-cgroups.service")
MASKED = [
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "systemd-binfmt.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-remount-fs.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-initctl.socket",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-logind.socket",
    "remote-fs.target",
]
"""Units a container has no use for; some would undo what Docker set up."""


def reference(kubernetes: str) -> str:
    """The image's name."""
    return f"limani.dev/kind-node:v{kubernetes}"


def build(kubernetes: str | None = None) -> tuple[Path, str]:
    """The image's archive and name; built if needed.

    Raises HostUnsuitable where mmdebstrap or the rights it needs are missing, BinariesUnavailable, CommandFailed.
    """
    os.environ["SOURCE_DATE_EPOCH"] = str(EPOCH)
    used = programs(kubernetes)
    root = debian_root()
    sources = [HERE / name for name in ("node", "routes", "build.py", "contents.py", "store.py")]
    name = cache.key(root.name, used.kubernetes, debian.architecture(), *sources, *map(used.path, PROGRAMS))
    target = cache.folder() / f"kind-node-{name}.tar"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache.folder()) as folder:
            work = Path(folder)
            write_archive(work / "image.tar", [_image(used, root, work)])
            (work / "image.tar").replace(target)
        cache.forget_older("kind-node-*.tar", target)
    return target, reference(used.kubernetes)


PROGRAMS = {
    "kubeadm": "usr/bin/kubeadm",
    "kubectl": "usr/bin/kubectl",
    "kubelet": "usr/bin/kubelet",
    "containerd": "usr/local/bin/containerd",
    "containerd-shim-runc-v2": "usr/local/bin/containerd-shim-runc-v2",
    "ctr": "usr/local/bin/ctr",
    "cni/bridge": "opt/cni/bin/bridge",
    "cni/host-local": "opt/cni/bin/host-local",
    "cni/loopback": "opt/cni/bin/loopback",
    "cni/portmap": "opt/cni/bin/portmap",
}
"""Where kubeadm, kind and containerd look for a node's programs."""


def debian_root() -> Path:
    """A tar of the node's root file system."""
    name = cache.key(SUITE.name, "essential", *PACKAGES, debian.architecture())
    target = cache.folder() / f"kind-root-{name}.tar"
    if not target.exists():
        cache.say(f"kind node image: Debian {SUITE.name} with {', '.join(PACKAGES)}")
        debian.extract(SUITE, PACKAGES, target, "essential")
        cache.forget_older("kind-root-*.tar", target)
    return target


def _image(used: Programs, root: Path, work: Path) -> ImageToWrite:
    cache.say(f"kind node image: Kubernetes {used.kubernetes}")
    layers = work / "layers"
    names = contents.references(used)
    contents.write(used, names, work / "contents", work / "contents.tar")
    content = store.fill(used, work / "contents.tar", work / "containerd")
    files = {path: File(used.path(name), 0o755) for name, path in PROGRAMS.items()}
    return ImageToWrite(
        reference(used.kubernetes),
        [
            build_layer_from_tar(root, layers, keep=debian.keep, created_by=f"Debian {SUITE.name}"),
            build_layer_from_files(files, layers, created_by=f"Kubernetes {used.kubernetes}, containerd"),
            build_layer_from_folder(
                content, layers, prefix="/var/lib/containerd", keep=store.keep, created_by="images of the node"
            ),
            own_files(used, names["pause"], layers),
        ],
        {
            "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
            "Env": ["container=docker", contents.PATH],
            "StopSignal": "SIGRTMIN+3",
            "Labels": {OUR_IMAGE: used.kubernetes},
        },
    )


def own_files(used: Programs, pause: str, layers: Path) -> Layer:
    """The layer of what makes a machine of it: the folder ``node``, units switched on and off."""
    values = {"@PAUSE@": pause, "@ROUTES@": contents.ROUTES}
    files: dict[str, File | Folder | Symlink] = {
        "etc/cni/net.d": Folder(),
        "etc/kubernetes/manifests": Folder(),
        "kind/version": File(f"v{used.kubernetes}".encode()),
        "usr/lib/modules": Folder(),
        "etc/systemd/system/default.target": Symlink("/lib/systemd/system/multi-user.target"),
    }
    units = "etc/systemd/system"
    files |= {f"{units}/{unit}": Symlink("/dev/null") for unit in MASKED}
    files |= {f"{units}/multi-user.target.wants/{unit}": Symlink(f"/{units}/{unit}") for unit in SERVICES}
    for path in sorted((HERE / "node").rglob("*")):
        if path.is_file():
            text = path.read_text()
            for name, value in values.items():
                text = text.replace(name, value)
            mode = 0o755 if "bin" in path.parts else 0o644
            files[str(path.relative_to(HERE / "node"))] = File(text.encode(), mode)
    return build_layer_from_files(files, layers, created_by="files of the node")


def main() -> int:
    """Print the archive's path."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kubernetes-version", metavar="VERSION")
    try:
        path, name = build(parser.parse_args().kubernetes_version)
    except LimaniError as error:
        cache.say(f"kind node image: {error.message}\n  hint: {error.hint}")
        return 1
    cache.say(f"docker load -i {path}   # {name}")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
