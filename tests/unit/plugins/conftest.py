"""The collection as Ansible sees it, and plays that run against a scripted library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
ANSWERS: dict[str, Any] = {
    "node_image": {"result": {"changed": True, "images": [], "nodes": {}, "summary": {}, "diff": {}}},
    "node_image_info": {"result": {"images": [], "nodes": {}, "summary": {}}},
    "node_agent": {"result": {"changed": True, "nodes": {}, "summary": {}}},
    "node_agent_info": {"result": {"installed": True, "nodes": {}, "summary": {"failed": 0}}},
    "lab_cluster": {"result": {"changed": True, "kubeconfig": "/lab/kubeconfig", "nodes": []}},
    "lab_cluster_info": {"result": {"clusters": []}},
}


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH in which the repository is limani.nodes."""
    path = tmp_path_factory.mktemp("collections")
    tree = path / "ansible_collections" / "limani" / "nodes"
    tree.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        (tree / name).symlink_to(ROOT / name)
    return path


@pytest.fixture(scope="session")
def importable(collections: Path) -> Iterator[None]:
    """Makes ansible_collections.limani.nodes importable in this process."""
    sys.path.insert(0, str(collections))
    yield
    sys.path.remove(str(collections))


@dataclass
class Ran:
    """What a play did. ``results``: of its tasks in order; ``calls``: of the library."""

    code: int
    results: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        """Result of the last task."""
        return self.results[-1]


Play = Callable[..., Ran]


@pytest.fixture
def play(collections: Path, tmp_path: Path) -> Play:
    """Run tasks, or a whole playbook, with ansible-playbook against the scripted library."""

    def run(
        tasks: list[dict[str, Any]] | str,
        *options: str,
        answers: dict[str, Any] | None = None,
        connection: str = "local",
        callback: str = "json",
        cwd: Path | None = None,
        **environment: str,
    ) -> Ran:
        if isinstance(tasks, str):
            playbook = tasks
        else:
            whole = [
                {
                    "hosts": "localhost",
                    "gather_facts": False,
                    "vars": {"ansible_connection": connection},
                    "tasks": tasks,
                }
            ]
            (tmp_path / "play.yml").write_text(yaml.safe_dump(whole, sort_keys=False))
            playbook = str(tmp_path / "play.yml")
        (tmp_path / "answers.json").write_text(json.dumps(ANSWERS | (answers or {})))
        calls = tmp_path / "calls.jsonl"
        calls.unlink(missing_ok=True)
        done = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), *options, playbook],
            env=_environment(collections, tmp_path, callback) | environment,
            capture_output=True,
            text=True,
            cwd=cwd or tmp_path,
            timeout=120,
        )
        results = [item["result"] for item in json.loads(done.stdout.splitlines()[-1])] if callback == "json" else []
        called = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        return Ran(done.returncode, results, called, done.stdout, done.stderr)

    return run


def _environment(collections: Path, folder: Path, callback: str) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PWD": str(folder),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(HERE / "library"),
        "LIMANI_SCRIPT": str(folder),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection"),
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
