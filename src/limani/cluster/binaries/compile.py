"""Compiling the binaries from Go modules.

``modules/GROUP`` holds an ordinary ``go.mod`` (tool directives name the programs, so ``go mod tidy`` keeps what they
need) and its ``go.sum``: the versions in ``versions.json`` build the same everywhere. For another version of Kubernetes
the module file is made on the spot. ``python -m limani.cluster.binaries.compile`` writes the files in ``modules`` anew
after ``versions.json`` was changed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from limani.cluster.binaries.groups import GROUPS, Group, versions
from limani.errors import BinariesUnavailable

_SAY_EVERY_S = 20.0
_STAGING = re.compile(r"^\s+(k8s\.io/[\w-]+) => \./staging", re.MULTILINE)
_GO_LINE = re.compile(r"^go (\d+\.\d+)\S*", re.MULTILINE)


def can_compile() -> bool:
    """Whether there is a Go command."""
    return shutil.which("go") is not None


def compile_all(target: Path, wanted: dict[str, str], progress: Callable[[str], None]) -> None:
    """Compile every binary that ``target`` lacks. Raises :class:`BinariesUnavailable` with the compiler's words."""
    total = sum(len(group.packages) for group in GROUPS)
    done = 0
    for group in GROUPS:
        for binary, package in group.packages.items():
            done += 1
            if not (target / binary).exists():
                folder = module_folder(target / "src", group, wanted[group.name])
                label = f"Compile {binary} {wanted[group.name]} ({done} of {total})"
                _build(folder, group, wanted[group.name], package, target / binary, label, progress)
    shutil.rmtree(target / "src", ignore_errors=True)


def module_folder(parent: Path, group: Group, version: str) -> Path:
    """A folder with the group's go.mod and go.sum for that version."""
    folder = parent / group.name
    if (folder / "go.sum").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if version == versions()[group.name]:
        with as_file(files(__package__) / "modules" / group.name) as stored:
            for name in ("go.mod", "go.sum"):
                shutil.copyfile(stored / name, folder / name)
    else:
        tidy(folder, group, version)
    return folder


def tidy(folder: Path, group: Group, version: str) -> None:
    """Write go.mod and go.sum for a version."""
    (folder / "go.sum").unlink(missing_ok=True)
    download = json.loads(_go(folder, "mod", "download", "-json", f"{group.module}@v{version}"))
    upstream = Path(download["GoMod"]).read_text()
    (folder / "go.mod").write_text(go_mod(group, version, upstream))
    _go(folder, "mod", "tidy")


def go_mod(group: Group, version: str, upstream: str) -> str:
    """The text of a minimal go.mod, from the module's own.

    Kubernetes replaces its staging modules by folders of its repository, which only works inside it; here they are
    replaced by what is published of them (k8s.io/api v0.36.3 belongs to v1.36.3).
    """
    line = _GO_LINE.search(upstream)
    if line is None:
        raise BinariesUnavailable(f"The go.mod of {group.module} {version} names no version of Go.")
    tools = "".join(f"\t{package}\n" for package in group.packages.values())
    text = f"module limani/{group.name}\n\n{line[0]}\n\n"
    text += f"godebug default=go{line[1]}\n\ntool (\n{tools})\n\nrequire {group.module} v{version}\n"
    staging = _STAGING.findall(upstream)
    if staging:
        published = f"v0.{version.split('.', 1)[1]}"
        text += "\nreplace (\n" + "".join(f"\t{module} => {module} {published}\n" for module in staging) + ")\n"
    return text


def linker_flags(group: Group, version: str) -> str:
    """What stamps the version into a binary (and drops its symbol tables)."""
    minor = version.split(".")[1]
    stamps = [f"-X {stamp.format(v=version, minor=minor)}" for stamp in group.stamp]
    return " ".join(["-s", "-w", *stamps])


def _build(
    folder: Path, group: Group, version: str, package: str, target: Path, label: str, progress: Callable[[str], None]
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    command = [
        "go",
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        linker_flags(group, version),
        "-o",
        str(partial),
        package,
    ]
    progress(label)
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment("-mod=readonly"),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while True:
            try:
                _, errors = process.communicate(timeout=_SAY_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                progress(f"{label}: {time.monotonic() - began:.0f} s so far")
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        raise BinariesUnavailable(f"go build {package} failed: {errors.strip()[-2000:]}", package=package)
    partial.rename(target)


def _go(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env=_environment("-mod=mod"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BinariesUnavailable(f"go {' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _environment(flags: str) -> dict[str, str]:
    # Static binaries, no workspace of the user's in between.
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": flags, "GOWORK": "off"}


if __name__ == "__main__":
    for _group in GROUPS:
        _folder = Path(__file__).parent / "modules" / _group.name
        _folder.mkdir(parents=True, exist_ok=True)
        tidy(_folder, _group, versions()[_group.name])
