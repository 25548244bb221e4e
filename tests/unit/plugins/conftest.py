"""The collection as Ansible sees it, and plays that run against a scripted library."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.plays import Ran, link_collection, run_play

HERE = Path(__file__).parent
ANSWERS: dict[str, Any] = {
    "node_image": {"result": {"changed": True, "images": [], "nodes": {}, "summary": {}, "diff": {}}},
    "node_image_info": {"result": {"images": [], "nodes": {}, "summary": {}}},
    "node_agent": {"result": {"changed": True, "nodes": {}, "summary": {}}},
    "node_agent_info": {"result": {"installed": True, "nodes": {}, "summary": {"failed": 0}}},
    "lab_cluster": {"result": {"changed": True, "kubeconfig": "/lab/kubeconfig", "nodes": []}},
    "lab_cluster_info": {"result": {"clusters": []}},
    "lab_lesson": {"result": {"changed": True, "workspace": "/work", "environment": {}, "break": {}}},
    "lab_lesson_info": {"result": {"started": False, "passed": False, "checks": [], "environment": {}}},
}


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ANSIBLE_COLLECTIONS_PATH in which the repository is limani.nodes."""
    return link_collection(tmp_path_factory.mktemp("collections"))


@pytest.fixture(scope="session")
def importable(collections: Path) -> Iterator[None]:
    """Makes ansible_collections.limani.nodes importable in this process."""
    sys.path.insert(0, str(collections))
    yield
    sys.path.remove(str(collections))


@dataclass
class Scripted(Ran):
    """``calls``: of the library."""

    calls: list[dict[str, Any]]


Play = Callable[..., Scripted]


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
    ) -> Scripted:
        (tmp_path / "answers.json").write_text(json.dumps(ANSWERS | (answers or {})))
        log = tmp_path / "calls.jsonl"
        log.unlink(missing_ok=True)
        scripted = {"PYTHONPATH": str(HERE / "library"), "LIMANI_SCRIPT": str(tmp_path)}
        ran = run_play(
            tasks,
            *options,
            folder=tmp_path,
            collections=collections,
            connection=connection,
            callback=callback,
            cwd=cwd,
            environment=scripted | environment,
        )
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Scripted(ran.code, ran.results, ran.stdout, ran.stderr, calls)

    return run
