"""The molecule scenarios: complete, and unable to pass with nothing done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted(path.parent for path in (ROOT / "molecule").glob("*/molecule.yml"))
NAMES = [path.name for path in SCENARIOS]
SHARED = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())
WITHOUT_NODES = ("default", "lab_cluster", "lab_lesson", "lab_lesson_info", "role_lab")
ON_NODES = [path for path in SCENARIOS if path.name not in WITHOUT_NODES]


def test_every_module_role_and_playbook_has_a_scenario():
    """Each module, role and playbook of the collection is exercised by a scenario of its own."""
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    roles = {f"role_{path.name}" for path in (ROOT / "roles").iterdir()}
    # The playbooks agent and lab are their roles and nothing else.
    assert set(NAMES) == modules | roles | {"playbook_seed_images", "default"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_every_step_has_its_playbook(scenario: Path):
    """No step of a scenario is missing (molecule only warns), and no playbook is without a step."""
    own = yaml.safe_load((scenario / "molecule.yml").read_text()) or {}
    steps = own.get("scenario", SHARED["scenario"])["test_sequence"]
    wanted = {step for step in steps if step != "idempotence"}
    assert {path.stem for path in scenario.glob("*.yml")} - {"molecule"} == wanted
    if scenario.name != "default":
        assert {"converge", "idempotence", "verify"} <= set(steps)


@pytest.mark.parametrize("scenario", [path for path in SCENARIOS if path.name != "default"], ids=lambda path: path.name)
def test_check_mode_comes_first(scenario: Path):
    """A scenario of something that changes things runs it in check mode before, and looks whether anything changed."""
    if scenario.name in ("lab_cluster_info", "lab_lesson_info"):
        return
    text = (scenario / "prepare.yml").read_text()
    assert "check_mode: true" in text or "tasks/check.yml" in text or "--check" in text


@pytest.mark.parametrize("scenario", ON_NODES, ids=lambda path: path.name)
def test_without_the_clusters_inventory_a_scenario_fails(scenario: Path, tmp_path: Path):
    """Where no node is known the scenario's verification fails; it does not pass with nothing done."""
    environment = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    environment |= SHARED["ansible"]["env"] | {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    # Only its first task: those behind need the collection.
    play = yaml.safe_load((scenario / "verify.yml").read_text())[0]
    play["tasks"] = play["tasks"][:1]
    assert play["tasks"][0]["ansible.builtin.include_tasks"] == "../shared/tasks/guard.yml"
    play["tasks"][0]["ansible.builtin.include_tasks"] = str(ROOT / "molecule/shared/tasks/guard.yml")
    (tmp_path / "verify.yml").write_text(yaml.safe_dump([play]))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {}}}}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "verify.yml"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout
    assert "There are nodes to test on" in done.stdout


def test_a_play_without_hosts_fails(tmp_path: Path):
    """The setting that makes a play fail when its hosts are not there is on, and works."""
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "nodes", "gather_facts": False, "tasks": []}]))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {}}}}))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml"]
    setting = {key: value for key, value in SHARED["ansible"]["env"].items() if key == "ANSIBLE_HOST_PATTERN_MISMATCH"}
    for extra, code in (({}, 0), (setting, 1)):
        environment = {**os.environ, "HOME": str(tmp_path), **extra}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0) == bool(code), done.stdout
