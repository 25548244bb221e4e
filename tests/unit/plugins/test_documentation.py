"""What the modules' documentation says is what they do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from limani import wire
from limani.errors import AgentMissing, SomeNodesFailed
from limani.seed.inventory import by_reference
from limani.seed.report import Report, failure, verdict

from .documented import MODULES, ROOT, block, breaches, module

pytestmark = pytest.mark.usefixtures("importable")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("connection", ["local", "loopback"])
def test_every_example_runs(play, tmp_path, name: str, connection: str):
    """The tasks of EXAMPLES pass Ansible's own validation and reach the library, in check mode, through both shells."""
    tasks = block(name, "EXAMPLES")
    ours = [task for task in tasks if f"limani.nodes.{name}" in task]
    assert ours, "no example uses the module"
    ran = play(tasks, "--check", connection=connection)
    assert ran.code == 0, ran.stdout
    assert len(ran.calls) == len(ours)
    assert all(call["function"] == module(name).JOB.function.partition(":")[2] for call in ran.calls)


@pytest.mark.parametrize("name", MODULES)
def test_samples_keep_the_promise(name: str):
    """The samples of RETURN have the keys and types RETURN describes."""
    promised = block(name, "RETURN")
    samples = {key: entry["sample"] for key, entry in promised.items() if "sample" in entry}
    assert samples.keys() == promised.keys(), "a return value has no sample"
    assert list(breaches({key: promised[key] for key in samples}, samples)) == []


def test_the_check_of_promises_can_fail():
    """The comparison used here notices an extra key, a missing one and a wrong type."""
    promised = {"a": {"returned": "always", "type": "int"}, "b": {"returned": "always", "type": "str"}}
    assert sorted(breaches(promised, {"a": "x", "c": 1})) == [
        "a is 'x', not int",
        "b is missing",
        "c is not documented",
    ]


def some_report() -> Report:
    image = {"changed": True, "state": "present", "digest": "sha256:1", "bytes": 3, "pinned": False, "reason": ""}
    good = failure(AgentMissing("x")) | {
        "failed": False,
        "state": "present",
        "images": {"docker.io/library/a:1": image},
    }
    del good["error"]
    return Report(nodes={"n1": good, "n2": failure(AgentMissing("Node n2 has no agent."))}, images=[], uploaded=3)


def test_results_of_seeding_keep_the_promise():
    """What the library's verdict says, good or bad, has the keys and types of RETURN."""
    promised = block("k8s_node_image", "RETURN") | {"changed": BOOL, "diff": DICT}
    assert list(breaches(promised, verdict(some_report(), "50%"))) == []
    with pytest.raises(SomeNodesFailed) as caught:
        verdict(some_report(), "100%")
    lifted = _failure(caught.value)
    assert list(breaches(promised | {"failed": BOOL, "msg": STR}, lifted, always="on failure")) == []


def test_the_inventory_keeps_the_promise():
    """The list by image that the library makes of the nodes' answers has the keys and types of RETURN."""
    stored = {"digest": "sha256:1", "config_digest": "sha256:2", "size": 3, "references": ["docker.io/library/a:1"]}
    found = by_reference({"n1": {"images": [stored]}, "n2": {"images": [stored]}})
    promised = block("k8s_node_image_info", "RETURN")
    assert found[0]["nodes"] == ["n1", "n2"]
    assert list(breaches({"images": promised["images"]}, {"images": found})) == []


@pytest.mark.parametrize("name", ["k8s_node_image_info", "node_agent_info"])
def test_facts_of_engines_and_disks_are_named(name: str):
    """The documentation names every fact the agents give of engines, disks and images."""
    text = str(block(name, "RETURN")["nodes"])
    shown = [wire.EngineStatus, wire.Disk] + ([wire.StoredImage] if name == "k8s_node_image_info" else [])
    missing = [
        f"{kind.__name__}.{field}" for kind in shown for field in kind.__struct_fields__ if f"C({field})" not in text
    ]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_attributes_are_honest(name: str):
    """Check mode and async are promised by every module, diff mode exactly by those that change things."""
    fragments = set(block(name, "DOCUMENTATION")["extends_documentation_fragment"])
    changes = not module(name).JOB.reads
    assert ("limani.nodes._attributes.changes" in fragments) == changes
    assert ("limani.nodes._attributes.info" in fragments) != changes
    assert name.endswith("_info") != changes
    # What is promised is tested in test_shells (check mode, async) and in molecule (diff, idempotence).


def test_action_groups_are_complete():
    """Exactly the modules that speak to a cluster are in the group that sets kubeconfig for all of them, and say so."""
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    speaking = [name for name in MODULES if "kubeconfig" in module(name).JOB.argument_spec]
    saying = [
        name
        for name in MODULES
        if "limani.nodes._attributes.group" in block(name, "DOCUMENTATION")["extends_documentation_fragment"]
    ]
    assert sorted(groups["cluster"]) == speaking == saying


def test_defaults_of_the_group_reach_all_its_modules(play):
    """module_defaults for the group sets the kubeconfig of every module in it, through the action plugins too."""
    names = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]["cluster"]
    tasks = [{f"limani.nodes.{name}": {"images": ["a"]} if name == "k8s_node_image" else {}} for name in names]
    defaults = {"group/limani.nodes.cluster": {"kubeconfig": "/one/for/all"}}
    ran = play([{"block": tasks, "module_defaults": defaults}])
    assert ran.code == 0, ran.stdout
    assert [call["params"]["kubeconfig"] for call in ran.calls] == ["/one/for/all"] * len(names)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_its_action(name: str):
    """Each module has an action plugin of the same name that does the module's own job."""
    text = (ROOT / f"plugins/action/{name}.py").read_text()
    assert f"plugins.modules.{name} import JOB" in text


BOOL, STR, DICT = ({"returned": "always", "type": kind} for kind in ("bool", "str", "dict"))


def _failure(problem: SomeNodesFailed) -> dict[str, Any]:
    from ansible_collections.limani.nodes.plugins.module_utils._job import failure as result_of

    return result_of(problem.to_dict())
