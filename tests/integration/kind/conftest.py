"""A real kind cluster in a Docker daemon of its own, made and deleted by the collection's playbooks."""

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

from limani.cluster.hosted import record

ROOT = Path(__file__).parents[3]
PRIVATE_DOCKER = [sys.executable, str(ROOT / "scripts/private_docker.py")]
NAME = f"kind-{os.getpid()}"
NODES = (f"{NAME}-control-plane", f"{NAME}-worker", f"{NAME}-worker2")


def run(command: list[str], timeout_s: int = 600) -> str:
    """Run a command; fails with what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-6000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def docker() -> Iterator[Callable[..., str]]:
    """The docker command of a daemon that has the node image; DOCKER_HOST and so on are set meanwhile.

    A daemon that ran before is used and kept (faster while developing).
    """
    before = dict(os.environ)
    running = Path("/run/limani-docker/docker.sock").exists()
    try:
        for line in run([*PRIVATE_DOCKER, "start", "--kind-node"], 1200).splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            os.environ[name] = value
        yield lambda *arguments: run(["docker", *arguments])
    finally:
        os.environ.clear()
        os.environ.update(before)
        if not running:
            run([*PRIVATE_DOCKER, "stop"])


@dataclass(frozen=True)
class Played:
    """What a playbook did."""

    code: int
    stdout: str
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        """Result of the last task that one of our modules ran."""
        results = [item["result"] for item in json.loads(self.stdout.splitlines()[-1])]
        return [dict(result) for result in results if "nodes" in result or "error" in result][-1]


Play = Callable[..., Played]


@pytest.fixture(scope="session")
def play(docker: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Runs a playbook of the collection with variables, as a user does."""
    collections = tmp_path_factory.mktemp("collections")
    tree = collections / "ansible_collections" / "limani" / "nodes"
    tree.mkdir(parents=True)
    for name in ("galaxy.yml", "meta", "playbooks", "plugins", "roles"):
        (tree / name).symlink_to(ROOT / name)
    command = [str(Path(sys.executable).with_name("ansible-playbook"))]
    own = {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/unit/plugins/callback"),
        "ANSIBLE_STDOUT_CALLBACK": "json",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }

    def run_playbook(name: str, *options: str, **variables: Any) -> Played:
        arguments = [*command, str(ROOT / "playbooks" / name), "-e", json.dumps(variables), *options]
        done = subprocess.run(
            arguments, env={**os.environ, **own}, capture_output=True, text=True, timeout=600, check=False
        )
        return Played(done.returncode, done.stdout, done.stderr)

    return run_playbook


@pytest.fixture(scope="session")
def made(play: Play) -> Iterator[Played]:
    """The run of lab.yml that made the cluster of one control plane and two workers."""
    played = play("lab.yml", lab_backend="kind", lab_name=NAME, lab_nodes=3)
    try:
        assert played.code == 0, played.stdout[-6000:] + played.stderr[-2000:]
        yield played
    finally:
        if record.load("kind", NAME):
            play("lab.yml", lab_backend="kind", lab_name=NAME, lab_state="absent")


@pytest.fixture(scope="session")
def kubeconfig(made: Played) -> str:
    """Path of the cluster's kubeconfig."""
    return str(record.kubeconfig("kind", NAME))


@pytest.fixture(scope="session")
def agents(play: Play, kubeconfig: str) -> Played:
    """The agents on all nodes, installed by agent.yml."""
    from images.agent.build import build

    played = play("agent.yml", agent_kubeconfig=kubeconfig, agent_archive=str(build()))
    assert played.code == 0, played.stdout[-6000:] + played.stderr[-2000:]
    return played
