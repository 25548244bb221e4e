"""Python packages for an image: wheels for the image's Python, not for the one that builds."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from images.cache import ROOT
from images.debian import Suite, matches
from limani.errors import CommandFailed

USELESS = (
    "bin/*",
    "*.pyi",
    "*.pyx",
    "*.pxd",
    "*.pxi",
    "*.c",
    "*.h",
    "*.hpp",
    "*/tests/*",
    "*/test/*",
    "*.dist-info/RECORD",
    "zstandard/_cffi.*",  # the C backend is the one CPython uses
    "pycparser/*",  # cffi needs it to compile, not to run
    "pycparser-*",
    "cffi/*",
    "cffi-*",
)
"""What is not needed at run time (patterns over paths inside site-packages)."""

OWN = ("src/limani", "pyproject.toml", "hatch_build.py", "README.md", "COPYING")
"""What Limani's own wheel is made of."""
ELSEWHERE = ("cli", "cluster", "deploy", "fleet", "lab", "seed")
"""Rooms of ``limani`` that never run in an image: clients' (``.importlinter``, "What runs on a node")."""

_GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")


def install(suite: Suite, requirements: Sequence[str], target: Path) -> None:
    """Install binary wheels of ``requirements`` for the suite's Python into ``target``, pruned and stripped.

    Raises CommandFailed with pip's output.
    """
    machine = platform.machine()
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={suite.python}"]
    options += [f"--abi={abi}" for abi in (suite.abi, "abi3", "none")]
    options += [f"--platform={name}_{machine}" for name in _GLIBC]
    _pip("install", "--target", str(target), "--no-compile", *options, *requirements)
    prune(target, USELESS)
    strip(target)


def install_own(target: Path) -> None:
    """Build a wheel of this repository without the rooms of clients and install it alone into ``target``.

    It is built from a copy, because building compiles messages into the source tree, which may be in use.
    """
    wheels, copy = target.with_name(target.name + "-wheel"), target.with_name(target.name + "-source")
    for path in own():
        _copy(path, copy / path.relative_to(ROOT))
    isolation = [] if _builders_missing() else ["--no-build-isolation"]
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), *isolation, str(copy))
    wheel = next(wheels.glob("limani-*.whl"))
    options = ["--target", str(target), "--no-compile", "--no-deps", "--ignore-requires-python"]
    _pip("install", *options, str(wheel))
    shutil.rmtree(wheels)
    shutil.rmtree(copy)
    prune(target, USELESS)


def own() -> list[Path]:
    """The files and folders an image's own wheel is made of."""
    package, *others = (ROOT / name for name in OWN)
    skipped = {*ELSEWHERE, "__pycache__"}
    return [*sorted(path for path in package.iterdir() if path.name not in skipped), *others]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "_pb"))
    else:
        shutil.copyfile(source, target)


def _builders_missing() -> bool:
    from importlib.util import find_spec

    return find_spec("hatchling") is None or find_spec("grpc_tools") is None


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(
            f"pip {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-800:]}",
            hint="Check that the Python package index can be reached, then run again.",
            arguments=command,
            exit_code=done.returncode,
        )


def prune(folder: Path, useless: Iterable[str]) -> None:
    """Remove files that match and folders left empty."""
    patterns = tuple(useless)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif matches(str(path.relative_to(folder)), patterns):
            path.unlink()


def strip(folder: Path) -> None:
    """Drop symbol tables of shared objects (a third of the wheels' size), where binutils are installed."""
    libraries = [str(path) for path in folder.rglob("*.so*") if path.is_file()]
    if libraries and shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)


def compile_bytecode(root: Path, suite: Suite, folder: Path, shown: str) -> None:
    """Compile ``folder`` with the Python inside ``root``, as if it lay at ``shown``; no chroot and no root needed.

    Without docstrings and assertions (``PYTHONOPTIMIZE=2``), which is what the image must be started with.
    The container's root is read-only, so without this every start compiles everything again: 0.6 s and 4 MB more.
    """
    loader = next(root.glob("lib64/ld-linux-*.so.*"), None) or next(root.glob("lib/ld-linux-*.so.*"))
    libraries = ":".join(str(path) for path in (root / "usr/lib").glob("*-linux-gnu"))
    python = [str(loader), "--library-path", libraries, str(root / "usr/bin" / f"python{suite.python}")]
    job = ["-S", "-m", "compileall", "-q", "-o", "2", "--invalidation-mode", "unchecked-hash"]
    job += ["-s", str(folder), "-p", shown, str(folder)]
    done = subprocess.run(
        [*python, *job],
        env={"PYTHONHOME": str(root / "usr"), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(
            f"Compiling {shown} for the image failed: {done.stdout.strip()[-800:]}{done.stderr.strip()[-800:]}",
            exit_code=done.returncode,
        )
