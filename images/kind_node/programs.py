"""The programs of a node: those of Limani's own clusters, and ``kubeadm``, compiled; and the ``kind`` command."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images import cache
from limani.cluster.binaries import compile as compiler
from limani.cluster.binaries import provide
from limani.cluster.binaries.groups import GROUPS
from limani.errors import BinariesUnavailable

KIND_VERSION = "0.33.0"
"""What ``kind_command`` compiles, and the version the tests of the kind backend are written for."""


@dataclass(frozen=True)
class Programs:
    """Where the programs are. ``kubernetes``: their version, without a ``v``."""

    folder: Path
    kubeadm: Path
    kubernetes: str

    def path(self, name: str) -> Path:
        """The program of that name."""
        return self.kubeadm if name == "kubeadm" else self.folder / name


def programs(kubernetes: str | None = None) -> Programs:
    """All programs of a node; compiled or downloaded if needed. LIMANI_BINARIES names a folder that has them.

    Raises BinariesUnavailable.
    """
    folder, version = provide(os.environ.get("LIMANI_BINARIES"), kubernetes, progress=cache.say)
    return Programs(folder, kubeadm(version), version)


def kubeadm(version: str) -> Path:
    """``kubeadm`` of that version, from the cache or compiled (20 s where Kubernetes was compiled before)."""
    target = _folder() / f"kubeadm-{version}"
    if target.exists():
        return target
    cache.say(f"compiling kubeadm {version}")
    kubernetes = next(group for group in GROUPS if group.name == "kubernetes")
    package = "k8s.io/kubernetes/cmd/kubeadm"
    group = dataclasses.replace(kubernetes, name="kubeadm", packages={"kubeadm": package})
    work = target.with_name(target.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        compiler.tidy(work, group, version)
        flags = compiler.linker_flags(group, version)
        _go(["build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(work / "kubeadm"), package], work)
        (work / "kubeadm").replace(target)
    finally:
        shutil.rmtree(work)
    return target


def kind_command() -> Path:
    """The ``kind`` command: that of PATH, else compiled from its Go module and kept in the cache."""
    if found := shutil.which("kind"):
        return Path(found)
    target = _folder() / f"kind-{KIND_VERSION}" / "kind"
    if not target.exists():
        cache.say(f"compiling kind {KIND_VERSION}")
        target.parent.mkdir(exist_ok=True)
        install = ["install", "-trimpath", "-ldflags", "-s -w", f"sigs.k8s.io/kind@v{KIND_VERSION}"]
        _go(install, target.parent, GOBIN=str(target.parent))
    return target


def _folder() -> Path:
    folder = cache.folder().parent / "programs"
    folder.mkdir(exist_ok=True)
    return folder


def _go(arguments: Sequence[str], work: Path, **environment: str) -> None:
    if not compiler.can_compile():
        raise BinariesUnavailable(
            "kubeadm and kind are compiled with Go, which is not installed.", hint="Install Go: go.dev/dl."
        )
    done = subprocess.run(
        ["go", *arguments],
        cwd=work,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BinariesUnavailable(
            f"go {arguments[0]} failed: {done.stderr.strip()[-1000:]}",
            hint="Check that the Go module proxy can be reached (go env GOPROXY).",
        )
