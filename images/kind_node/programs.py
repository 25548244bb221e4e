"""The programs of a node: those of Limani's own clusters, and ``kubeadm`` compiled beside them; and the ``kind`` command.

``kubeadm`` is compiled from its Go module. Kubernetes' own go.mod replaces its libraries by folders of its repository,
so a go.mod of ours names their published versions instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images import cache
from limani.cluster.binaries import provide
from limani.errors import BinariesUnavailable, CommandFailed

KIND_VERSION = "0.33.0"
_LIBRARY = re.compile(r"^\s+(k8s\.io/[\w-]+) => \./staging", re.MULTILINE)
_LANGUAGE = re.compile(r"^go (\d+\.\d+)\S*$", re.MULTILINE)


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

    Raises BinariesUnavailable, CommandFailed.
    """
    folder, version = provide(os.environ.get("LIMANI_BINARIES"), kubernetes, mirror=None, progress=cache.say)
    return Programs(folder, kubeadm(version), version)


def kubeadm(version: str) -> Path:
    """``kubeadm`` of that Kubernetes version, from the cache or compiled (20 s where Kubernetes was compiled before)."""
    target = cache.folder().parent / "programs" / f"kubeadm-{version}"
    if target.exists():
        return target
    cache.say(f"kind node image: compiling kubeadm {version}")
    work = target.with_name(target.name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        (work / "go.mod").write_text(go_mod(version, upstream_go_mod(version, work)))
        _go(["mod", "tidy"], work)
        package = "k8s.io/component-base/version"
        major, minor = version.split(".")[:2]
        flags = f"-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        build = ["build", "-trimpath", "-ldflags", flags, "-o", str(work / "kubeadm"), "k8s.io/kubernetes/cmd/kubeadm"]
        _go(build, work)
        (work / "kubeadm").replace(target)
    finally:
        shutil.rmtree(work)
    return target


def upstream_go_mod(version: str, work: Path) -> str:
    """Text of Kubernetes' go.mod."""
    answer = json.loads(_go(["mod", "download", "-json", f"k8s.io/kubernetes@v{version}"], work))
    return Path(answer["GoMod"]).read_text()


def go_mod(version: str, upstream: str) -> str:
    """A go.mod from which kubeadm of ``version`` can be compiled. ``upstream``: text of Kubernetes' own."""
    language = _LANGUAGE.search(upstream)
    if not language:
        raise BinariesUnavailable(f"The go.mod of Kubernetes {version} names no version of Go.")
    libraries = sorted(set(_LIBRARY.findall(upstream)))
    published = "v0." + version.partition(".")[2]
    return "\n".join(
        [
            "module limani.dev/kubeadm",
            language[0],
            f"godebug default=go{language[1]}",
            "tool k8s.io/kubernetes/cmd/kubeadm",
            f"require k8s.io/kubernetes v{version}",
            *(f"replace {library} => {library} {published}" for library in libraries),
            "",
        ]
    )


def kind_command() -> Path:
    """The ``kind`` command, from PATH, the cache, or compiled from its Go module."""
    if found := shutil.which("kind"):
        return Path(found)
    target = cache.folder().parent / "programs" / f"kind-{KIND_VERSION}" / "kind"
    if not target.exists():
        cache.say(f"compiling kind {KIND_VERSION}")
        target.parent.mkdir(parents=True, exist_ok=True)
        install = ["install", "-trimpath", "-ldflags", "-s -w", f"sigs.k8s.io/kind@v{KIND_VERSION}"]
        _go(install, target.parent, GOBIN=str(target.parent))
    return target


def _go(arguments: Sequence[str], work: Path, **environment: str) -> str:
    """Run the Go command in a folder and return what it printed."""
    if shutil.which("go") is None:
        raise BinariesUnavailable(
            "Go is not installed; kubeadm and kind are compiled with it.", hint="Install Go: https://go.dev/dl"
        )
    done = subprocess.run(
        ["go", *arguments],
        cwd=work,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(
            f"go {arguments[0]} failed: {done.stderr.strip()[-1000:]}",
            hint="Check that the Go module proxy can be reached (go env GOPROXY).",
            arguments=["go", *arguments],
            exit_code=done.returncode,
        )
    return done.stdout
