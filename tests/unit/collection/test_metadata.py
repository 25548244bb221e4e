"""The collection as a package: versions, what ships, changelog."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

import limani

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
SHIPS = {"galaxy.yml", "README.md", "CHANGELOG.md", "COPYING", "meta", "plugins", "roles", "playbooks", "changelogs"}


def test_there_is_one_version():
    """Collection, Python package, plugins and execution environment name the same version."""
    version = GALAXY["version"]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == version
    assert limani.__version__ == version
    assert f'VERSION = "{version}"' in (ROOT / "plugins/module_utils/_version.py").read_text()
    assert f"~= {version}" in (ROOT / "meta/ee-requirements.txt").read_text()


def test_the_changelog_is_at_this_version():
    """The newest release of the changelog is this version, or older with fragments for what comes next."""
    releases = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text())["releases"]
    newest = max((_number(name) for name in releases), default=(0, 0, 0))
    version = _number(GALAXY["version"])
    assert newest <= version
    if newest < version:
        assert list((ROOT / "changelogs/fragments").glob("*.yml")), "unreleased changes have no changelog fragment"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_the_licence_is_the_one_named():
    """galaxy.yml, pyproject.toml and COPYING say the same."""
    assert GALAXY["license"] == [tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]]
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3" in (ROOT / "COPYING").read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ansible-galaxy packs it straight from a clone of the repository."""
    folder = tmp_path_factory.mktemp("build")
    clone = folder / "clone"
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    command = [BIN / "ansible-galaxy", "collection", "build", "--output-path", folder, clone]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (path,) = folder.glob("*.tar.gz")
    return path


def test_only_the_collection_is_packed(archive: Path):
    """build_ignore of galaxy.yml leaves out all that is not the collection, and nothing that is."""
    with tarfile.open(archive) as packed:
        names = {name.split("/")[0] for name in packed.getnames()}
    assert names - {"MANIFEST.json", "FILES.json"} == SHIPS - {"galaxy.yml"}


def test_the_collection_works_with_nothing_but_its_four_folders(archive: Path, tmp_path: Path):
    """Installed and stripped to meta, plugins, roles and playbooks, all it has can still be loaded."""
    command = [BIN / "ansible-galaxy", "collection", "install", "-p", tmp_path, "--offline", archive]
    # Not in the clone, whose ansible.cfg says that the collection is there already.
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    tree = tmp_path / "ansible_collections/limani/nodes"
    for path in tree.iterdir():
        if path.name not in ("meta", "plugins", "roles", "playbooks"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    modules = [f"limani.nodes.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py")]
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "HOME": str(tmp_path), "PATH": str(BIN)}
    for what in (
        ["-t", "module", *modules],
        ["-t", "filter", "limani.nodes.node_table"],
        ["-t", "role", "limani.nodes.agent"],
    ):
        done = subprocess.run(
            [BIN / "ansible-doc", *what], env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    for playbook in ("seed_images", "agent", "lab"):
        command = [BIN / "ansible-playbook", "--syntax-check", f"limani.nodes.{playbook}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_there_is_nothing_to_ignore():
    """No check of ansible-test or ansible-lint is switched off for any file."""
    assert not list((ROOT / "tests/sanity").glob("ignore*"))
    lint = yaml.safe_load((ROOT / ".ansible-lint").read_text())
    assert lint["profile"] == "production"
    assert not {"skip_list", "warn_list", "exclude_paths"} & lint.keys()


def test_plugins_say_their_licence():
    """Every plugin file begins with the licence Ansible's collections need."""
    for path in (ROOT / "plugins").rglob("*.py"):
        assert "SPDX-License-Identifier: GPL-3.0-or-later" in path.read_text()[:300], path
