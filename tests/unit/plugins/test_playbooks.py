"""Playbooks and roles, against the scripted library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from .documented import ROOT, module

NODE: dict[str, Any] = {
    "changed": True,
    "failed": False,
    "state": "present",
    "reason": "",
    "bytes": 5,
    "seconds": 0.1,
    "source": "upload",
    "images": {"docker.io/library/nginx:1": {"changed": True, "state": "present", "bytes": 5}},
}
SEEDED = {"node_image": {"result": {"changed": True, "images": [], "nodes": {"n1": NODE}, "summary": {}, "diff": {}}}}
SEED = str(ROOT / "playbooks/seed-images.yml")


def table(ran) -> list[str]:
    return ran.last["msg"]


def extra(**variables: Any) -> tuple[str, str]:
    return "-e", json.dumps(variables)


@pytest.mark.parametrize("playbook", [SEED, "limani.nodes.seed_images"])
def test_seed_images_takes_names_from_the_command_line_and_prints_a_table(play, playbook: str):
    """``-e images=a,b`` is enough, by path and by FQCN; the run ends with the table."""
    ran = play(playbook, "-e", "images=nginx:1,redis:7", answers=SEEDED)
    assert ran.code == 0, ran.stdout
    (call,) = ran.calls
    assert [image["name"] for image in call["params"]["images"]] == ["nginx:1", "redis:7"]
    assert table(ran)[0].split() == ["NODE", "IMAGE", "STATE", "CHANGED", "BYTES", "SECONDS"]
    assert table(ran)[1].startswith("n1 ")


@pytest.mark.parametrize("wrap", [False, True])
def test_seed_images_reads_a_file(play, tmp_path: Path, wrap: bool):
    """Images come from a YAML file in the current directory, a list or a dictionary; archives are relative to it."""
    (tmp_path / "work").mkdir()
    images = ["nginx:1", {"archive": "a.tar"}]
    (tmp_path / "work" / "wanted.yml").write_text(yaml.safe_dump({"images": images} if wrap else images))
    (tmp_path / "work" / "a.tar").touch()
    ran = play(SEED, "-e", "images_file=wanted.yml", answers=SEEDED, cwd=tmp_path / "work", PWD=str(tmp_path / "work"))
    assert ran.code == 0, ran.stdout
    first, second = ran.calls[0]["params"]["images"]
    assert first["name"] == "nginx:1"
    assert second["archive"] == str(tmp_path / "work" / "a.tar")


def test_seed_images_passes_every_option_on(play, importable):
    """Every option of the module can be set by a variable of the playbook."""
    values = {
        "nodes": ["n1"],
        "registries": [{"host": "r"}],
        "pull_secrets": [{"name": "s"}],
        "auth_file": "/auth",
        "pin": True,
        "label_nodes": True,
        "force": True,
        "min_success": "50%",
        "rate": "1M",
        "timeout": 5,
        "engine": "docker",
        "kubeconfig": "/kube",
        "context": "c",
        "agent_namespace": "ns",
    }
    spec = module("k8s_node_image").JOB.argument_spec
    rest = {"state", "images", "prune", "node_selector", "namespace", "agent_namespace"}
    assert values.keys() | rest == spec.keys() | {"agent_namespace"}
    ran = play(SEED, *extra(images=["a"], **values), answers=SEEDED)
    assert ran.code == 0, ran.stdout
    got = ran.calls[0]["params"]
    defaults = {name: entry.get("default") for name, entry in spec.items()}
    assert got["namespace"] == "ns"
    assert got["rate"] == 1 << 20
    assert [name for name in values.keys() & got.keys() if got[name] == defaults[name]] == []

    ran = play(SEED, *extra(state="pruned", prune={"keep": 2}, node_selector="a=b"), answers=SEEDED)
    assert ran.code == 0, ran.stdout
    assert ran.calls[0]["params"]["prune"]["keep"] == 2
    assert ran.calls[0]["params"]["node_selector"] == "a=b"


def test_seed_images_asks_for_images(play):
    """Without images the playbook says what to give and calls nothing."""
    ran = play(SEED)
    assert ran.code != 0
    assert "-e images=" in ran.last["msg"]
    assert ran.calls == []


def test_a_failed_node_is_in_the_table_and_fails_the_playbook(play):
    """The table is printed also when the task failed, and the playbook still fails."""
    from limani.errors import SomeNodesFailed

    nodes = {"n1": NODE, "n2": NODE | {"failed": True, "reason": "Node n2 has no agent.", "images": {}}}
    problem = SomeNodesFailed("1 of 2 nodes failed.", changed=True, nodes=nodes)
    ran = play(SEED, "-e", "images=a", answers={"node_image": {"error": problem.to_dict()}})
    assert ran.code != 0
    assert any("n2    FAILED: Node n2 has no agent." in line for line in table(ran))


ROLES = {"agent": ("node_agent", "agent_"), "lab": ("lab_cluster", "lab_")}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_its_module_with_other_names(play, importable, role: str):
    """Every option of the module is a variable of the role with the same type, choices and default, and documented."""
    name, prefix = ROLES[role]
    options = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]
    spec = module(name).JOB.argument_spec
    left_out = {"wait"} if role == "agent" else set()
    assert options.keys() == {prefix + option for option in spec.keys() - left_out}
    readme = (ROOT / f"roles/{role}/README.md").read_text()
    for option, entry in spec.items():
        if option not in left_out:
            told = options[prefix + option]
            assert {key: told.get(key) for key in ("type", "choices", "default", "elements")} == {
                key: entry.get(key) for key in ("type", "choices", "default", "elements")
            }
            assert f"| `{prefix}{option}` |" in readme
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    assert defaults == {key: entry["default"] for key, entry in options.items() if "default" in entry}


@pytest.mark.parametrize(
    ("playbook", "variables", "function"),
    [
        ("agent", {"agent_image": "a:1", "agent_node_selector": {"a": "b"}, "agent_kubeconfig": "/k"}, "node_agent"),
        ("agent", {"agent_state": "absent"}, "node_agent"),
        ("lab", {"lab_nodes": 2, "lab_node_disks": {"*": "20G"}, "lab_binaries": "/b"}, "lab_cluster"),
        ("lab", {"lab_state": "absent", "lab_name": "x"}, "lab_cluster"),
    ],
)
def test_playbooks_of_roles_hand_their_variables_to_the_module(
    play, playbook: str, variables: dict[str, Any], function: str
):
    """Variables given reach the module, those not given do not, by FQCN."""
    ran = play(f"limani.nodes.{playbook}", *extra(**variables))
    assert ran.code == 0, ran.stdout
    (call,) = ran.calls
    assert call["function"] == function
    for name, value in variables.items():
        assert call["params"][name.partition("_")[2]] == value


def test_the_agents_role_runs_once_on_the_controller(play, tmp_path: Path):
    """In a play over the nodes themselves the role still runs once, on the controller."""
    (tmp_path / "whole.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": [{"role": "limani.nodes.agent"}]}])
    )
    ran = play(str(tmp_path / "whole.yml"), "-i", "n1.invalid,n2.invalid")
    assert ran.code == 0, ran.stdout
    assert len(ran.calls) == 1
