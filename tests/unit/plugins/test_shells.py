"""The two shells around a library function: the action plugin in the controller's process, and the module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limani.errors import AgentMissing, SomeNodesFailed

CANARY = "k4n4r13nv0g3l"
SEED: dict[str, Any] = {"limani.nodes.k8s_node_image": {"images": ["nginx"]}}
SHELLS = ("local", "loopback")

NODE = {
    "changed": True,
    "failed": False,
    "state": "present",
    "reason": "",
    "bytes": 5,
    "seconds": 0.1,
    "source": "upload",
}
RESULT = {
    "changed": True,
    "images": [{"reference": "docker.io/library/nginx:latest"}],
    "nodes": {"n1": NODE | {"images": {}}},
    "summary": {"nodes": 1, "ok": 1, "failed": 0},
    "diff": {"before": {}, "after": {"n1": {"docker.io/library/nginx:latest": "sha256:0"}}},
}


def error(problem: Exception) -> dict[str, Any]:
    return {"node_image": {"error": problem.to_dict()}}  # type: ignore[attr-defined]


def test_the_action_runs_in_the_controllers_process_and_the_module_does_not(play):
    """A local task calls the library in a fork of ansible-playbook; on another connection the module file does."""
    here = play([SEED, SEED])
    assert len({call["parent"] for call in here.calls}) == 1
    there = play([SEED, SEED], connection="loopback")
    assert len({call["parent"] for call in there.calls}) == 2
    assert len(here.calls) == len(there.calls) == 2


TASKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "success": ({"images": ["nginx"]}, {"node_image": {"result": RESULT}}),
    "full options": (
        {
            "images": [{"archive": "/srv/a.tar"}, {"name": "b", "node": "n1"}, {"name": "c", "source": "docker"}],
            "nodes": "n1,n2",
            "registries": [{"host": "r.example", "username": "u", "password": CANARY}],
            "rate": "50M",
            "min_success": 2,
            "pin": "yes",
        },
        {"node_image": {"result": RESULT}},
    ),
    "failed nodes": ({"images": ["nginx"]}, error(SomeNodesFailed("One node failed.", **RESULT))),
    "no agent": ({"images": ["nginx"]}, error(AgentMissing("Node n1 has no agent.", node="n1"))),
    "nonsense": ({"images": [{"name": "x", "archive": "/srv/y.tar", "node": "n1"}]}, {}),
    "pruned": ({"state": "pruned", "prune": {"keep": 2, "older_than": "2d"}}, {"node_image": {"result": RESULT}}),
}


@pytest.mark.parametrize("name", TASKS)
def test_both_shells_give_the_same_answer(play, name: str):
    """Parameters the library gets, result, failure: nothing depends on which of the two shells ran."""
    args, answers = TASKS[name]
    runs = [play([{"limani.nodes.k8s_node_image": args}], answers=answers, connection=shell) for shell in SHELLS]
    fast, slow = runs
    assert [(call["params"], call["check"]) for call in fast.calls] == [
        (call["params"], call["check"]) for call in slow.calls
    ]
    # What ansible-core itself adds to the result of a module, which differs from version to version.
    added = {"_ansible_parsed", "_ansible_no_log", "exception", "invocation", "warnings"}
    answers = [{key: value for key, value in ran.last.items() if key not in added} for ran in runs]
    assert answers[0] == answers[1]
    assert fast.code == slow.code


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("options", [(), ("--check",)])
def test_check_mode_reaches_the_library(play, shell: str, options: tuple[str, ...]):
    """The library is told whether it may change anything."""
    ran = play([SEED], *options, connection=shell)
    assert [call["check"] for call in ran.calls] == [bool(options)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_failure_keeps_what_the_good_nodes_did(play, shell: str):
    """Failed nodes fail the task, and per-node results, summary and diff stay where a success has them."""
    ran = play([SEED], answers=error(SomeNodesFailed("One node failed.", **RESULT)), connection=shell)
    assert ran.code != 0
    result = ran.last
    assert {key: result[key] for key in RESULT} == RESULT
    assert result["msg"].startswith("One node failed. ")
    assert result["error"]["code"] == "nodes_failed"
    assert result["error"]["hint"] in result["msg"]
    assert result["error"]["fields"] == {}


def test_async_runs_and_gives_the_result(play):
    """A task in the background (async) does the same and returns the same."""
    task = SEED | {"async": 60, "poll": 1}
    ran = play([task], answers={"node_image": {"result": RESULT}})
    assert ran.code == 0, ran.stdout
    assert ran.last["nodes"] == RESULT["nodes"]
    assert ran.last["changed"] is True


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("fails", [False, True])
def test_secrets_are_nowhere(play, tmp_path: Path, shell: str, fails: bool):
    """A password reaches the library, and neither results, errors, diffs, progress nor the most verbose output."""
    answers = {"node_image": {"result": RESULT, "progress": [f"n1: {CANARY}"] * 3}}
    if fails:
        answers = error(SomeNodesFailed(f"Said {CANARY}.", **RESULT, detail=CANARY))
    args = {"images": ["nginx"], "registries": [{"host": "r", "username": "u", "password": CANARY}]}
    task = {"limani.nodes.k8s_node_image": args}
    for callback in ("json", "default"):
        ran = play([task], "-vvv", "--diff", answers=answers, connection=shell, callback=callback, LIMANI_PROGRESS="on")
        assert ran.calls[0]["params"]["registries"][0]["password"] == CANARY
        shown = ran.stdout + ran.stderr
        # ansible-core itself shows the arguments of a task it sends to a host, as of any module, with -vvv.
        assert CANARY not in "\n".join(line for line in shown.splitlines() if "EXEC" not in line)


def test_the_tasks_environment_counts(play):
    """The environment keyword works as for any module, and does not leak into the next task."""
    task = SEED | {"environment": {"KUBECONFIG": "/one", "K8S_AUTH_CONTEXT": "two", "K8S_AUTH_KUBECONFIG": "/three"}}
    first, second = play([task, SEED]).calls
    assert first["environment"]["KUBECONFIG"] == "/one"
    assert first["params"]["context"] == "two"
    assert first["params"]["kubeconfig"] == "/three"
    assert second["environment"]["KUBECONFIG"] is None
    assert second["params"]["context"] is None


def test_a_task_in_a_loop_with_templates_gets_plain_values(play):
    """What comes out of templates reaches the library as ordinary strings and lists."""
    task = {"limani.nodes.k8s_node_image": {"images": ["{{ item }}", {"name": "b:{{ item }}"}]}, "loop": ["x", "y"]}
    ran = play([task])
    assert ran.code == 0, ran.stdout
    assert [[image["name"] for image in call["params"]["images"]] for call in ran.calls] == [["x", "b:x"], ["y", "b:y"]]


@pytest.mark.parametrize("shell", SHELLS)
def test_another_version_of_the_library_is_refused(play, shell: str):
    """Collection and library of different series do not work together, and say how to mend it."""
    ran = play([SEED], connection=shell, LIMANI_SCRIPT_VERSION="0.2.0")
    assert ran.code != 0
    assert ran.calls == []
    assert ran.last["error"]["code"] == "version_skew"
    assert "pip install" in ran.last["msg"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_missing_library_is_named(play, tmp_path: Path, shell: str):
    """Without the Python package the task fails with its name and how to install it, not with a traceback."""
    broken = tmp_path / "broken" / "limani"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ModuleNotFoundError('No module named limani', name='limani')")
    ran = play([SEED], connection=shell, PYTHONPATH=str(broken.parent))
    assert ran.code != 0
    assert ran.last["error"]["code"] == "library_missing"
    assert "limani" in ran.last["msg"]
    assert "Traceback" not in ran.stdout + ran.stderr


def test_files_are_found_where_src_options_find_them(play, tmp_path: Path):
    """A relative archive is looked for in files/ beside the playbook, then in the current directory."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.tar").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "b.tar").touch()
    task = {"limani.nodes.k8s_node_image": {"images": [{"archive": name} for name in ("a.tar", "b.tar", "none.tar")]}}
    here = tmp_path / "here"
    ran = play([task], cwd=here)
    assert ran.code == 0, ran.stdout
    (call,) = ran.calls
    paths = [image["archive"] for image in call["params"]["images"]]
    assert paths == [str(tmp_path / "files" / "a.tar"), str(here / "b.tar"), str(here / "none.tar")]


def test_a_vaulted_kubeconfig_is_decrypted(play, tmp_path: Path):
    """A kubeconfig encrypted with Ansible Vault reaches the library as a file with its plain text."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    vault = VaultLib([("default", VaultSecret(b"open"))])
    (tmp_path / "secret.kubeconfig").write_bytes(vault.encrypt("apiVersion: v1"))
    (tmp_path / "password").write_text("open")
    task = {"limani.nodes.k8s_node_image": {"images": ["nginx"], "kubeconfig": "secret.kubeconfig"}}
    ran = play([task], "--vault-password-file", str(tmp_path / "password"))
    (call,) = ran.calls
    assert call["params"]["kubeconfig"] != str(tmp_path / "secret.kubeconfig")
    assert not Path(call["params"]["kubeconfig"]).exists(), "the plain text stayed behind"


def test_progress_never_touches_standard_output(play):
    """Progress goes to standard error only, so a program that reads the JSON of a callback is never disturbed."""
    answers = {"node_image": {"result": RESULT, "progress": ["n1: 1 of 2", "n2: 1 of 2"]}}
    ran = play([SEED], answers=answers, LIMANI_PROGRESS="on")
    json.loads(ran.stdout)
    quiet = play([SEED], "--check", answers=answers, LIMANI_PROGRESS="on", callback="default")
    assert "1 of 2" not in quiet.stdout + quiet.stderr
