"""Run plays with ansible-playbook and read their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "tests" / "unit" / "plugins"


@dataclass
class Ran:
    """What a play did. ``results``: of its tasks in order (with the callback ``json``)."""

    code: int
    results: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        """Result of the last task."""
        return self.results[-1]


def link_collection(path: Path) -> Path:
    """Make ``path`` a folder for ANSIBLE_COLLECTIONS_PATH in which the repository is limani.nodes."""
    tree = path / "ansible_collections" / "limani" / "nodes"
    tree.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        (tree / name).symlink_to(ROOT / name)
    return path


def run_play(
    tasks: list[dict[str, Any]] | str,
    *options: str,
    folder: Path,
    collections: Path,
    connection: str = "local",
    callback: str = "json",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run tasks on localhost, or a playbook by path or name; nothing is kept outside ``folder``.

    ``connection``: ``local``, or ``loopback``, which action plugins take for a host that is not the controller.
    """
    playbook = tasks if isinstance(tasks, str) else str(_write(tasks, folder, connection))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), *options, playbook],
        env=_environment(folder, collections, callback) | (environment or {}),
        capture_output=True,
        text=True,
        cwd=cwd or folder,
        timeout=180,
    )
    results = []
    if callback == "json":
        lines = done.stdout.splitlines()
        assert lines, done.stderr
        results = [item["result"] for item in json.loads(lines[-1])]
    return Ran(done.returncode, results, done.stdout, done.stderr)


def _write(tasks: list[dict[str, Any]], folder: Path, connection: str) -> Path:
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_connection": connection},
        "tasks": tasks,
    }
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    return path


def _environment(folder: Path, collections: Path, callback: str) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PWD": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(ANSIBLE / "callback"),
        "ANSIBLE_CONNECTION_PLUGINS": str(ANSIBLE / "connection"),
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
