"""The images of ours, built for real and unpacked."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from images.agent import build as agent
from images.demo import build as demo

pytestmark = [pytest.mark.integration, pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")]

LIMIT = 150_000_000
PROBE = """
import importlib, pkgutil, limani
rooms = {"agent", "engine", "image", "wire", "errors"}
names = [m.name for m in pkgutil.walk_packages(limani.__path__, "limani.") if m.name.split(".")[1] in rooms]
for name in ["limani.distribution.server", *names]:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def manifests(archive: Path) -> list[dict[str, Any]]:
    """The archive's images as Docker's manifest.json names them."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile("manifest.json")
        assert member
        images: list[dict[str, Any]] = json.load(member)
        return images


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent's image, unpacked layer over layer."""
    archive, target = agent.build(), tmp_path_factory.mktemp("agent")
    (image,) = manifests(archive)
    for layer in image["Layers"]:
        with tarfile.open(archive) as tar:
            content = tar.extractfile(layer)
            assert content
            subprocess.run(["tar", "-xp", "-C", str(target)], input=content.read(), check=True)
    return target


def chroot(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the image."""
    return subprocess.run(["chroot", str(root), *command], capture_output=True, text=True, check=False, timeout=60)


def test_agent_starts(root: Path) -> None:
    """The entry point runs in the image and explains itself."""
    entrypoint = agent.configuration()["Entrypoint"]
    done = chroot(root, *entrypoint, "--help")
    assert done.returncode == 0, done.stderr
    assert "--containerd-socket" in done.stdout


def test_all_the_agent_may_import_is_there(root: Path) -> None:
    """Every module of the node's rooms imports: nothing that was left out of Python or of the wheels is needed."""
    done = chroot(root, "/usr/bin/python3", "-c", PROBE)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_bytecode_is_used(root: Path) -> None:
    """Limani's modules come compiled, so that a start on a read-only root compiles nothing."""
    code = "import limani.agent.main as m, os; print(os.path.exists(m.__cached__), m.__spec__.cached)"
    done = chroot(root, "/usr/bin/python3", "-B", "-c", code)
    assert done.stdout.startswith("True "), done.stdout + done.stderr


def test_size(root: Path) -> None:
    """The unpacked image stays within its limit."""
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    assert size <= LIMIT


def test_building_again_changes_nothing() -> None:
    """The second build finds the first one's archive."""
    archive = agent.build()
    written = archive.stat().st_ino
    assert agent.build() == archive
    assert archive.stat().st_ino == written


def test_demo_images_share_their_base() -> None:
    """Both services lie on one base layer; it is the largest, and nothing else is shared."""
    archive = demo.build()
    web, hello = manifests(archive)
    assert (web["RepoTags"], hello["RepoTags"]) == (["limani.dev/demo/web:1"], ["limani.dev/demo/hello:1"])
    shared = set(web["Layers"]) & set(hello["Layers"])
    with tarfile.open(archive) as tar:
        sizes = {layer: tar.getmember(layer).size for image in (web, hello) for layer in image["Layers"]}
    assert shared == {web["Layers"][0]}
    assert max(sizes, key=lambda layer: sizes[layer]) in shared
