"""``limani cluster`` on a backend that only remembers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from limani.cli.cluster import cluster
from limani.cli.main import main
from limani.cluster import backend as backends
from tests.unit.cluster.test_task import FakeBackend


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    """The backend the commands get; no cluster is recorded on this machine."""
    made = FakeBackend()
    monkeypatch.setattr(backends, "get", lambda _: made)
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path))
    return made


def run(*arguments: str) -> Result:
    """The command's result; errors are raised."""
    return CliRunner().invoke(cluster, arguments, catch_exceptions=False)


def test_create_tells_where_the_kubeconfig_is(fake: FakeBackend) -> None:
    """The options become a request; the last line can be pasted into a shell."""
    result = run("create", "mine", "--nodes", "2", "--node-disk", "n2=300M", "--docker")
    assert result.stdout.strip() == "export KUBECONFIG=/state/mine/kubeconfig"
    request = fake.requests["mine"]
    assert (request.nodes, request.docker, request.node_disks) == (2, True, {"n2": 300 << 20})


def test_json_everywhere(fake: FakeBackend) -> None:
    """-o json prints one JSON document on standard output and nothing else."""
    assert json.loads(run("create", "mine", "-o", "json").stdout)["name"] == "mine"
    assert json.loads(run("status", "mine", "-o", "json").stdout)["nodes"][0]["name"] == "n1"
    assert json.loads(run("list", "-o", "json").stdout)[0]["state"] == "running"
    assert json.loads(run("process", "list", "-c", "mine", "-o", "json").stdout) == []
    assert json.loads(run("delete", "mine", "-o", "json").stdout) == {"name": "mine", "changed": True}
    assert json.loads(run("delete", "mine", "-o", "json").stdout) == {"name": "mine", "changed": False}
    assert isinstance(json.loads(run("doctor", "-o", "json").stdout), list)


def test_status_fails_unless_all_is_well(fake: FakeBackend) -> None:
    """The exit code of status says whether the cluster runs."""
    run("create", "mine")
    assert run("status", "mine").exit_code == 0
    fake.broken.add("mine")
    assert run("status", "mine").exit_code == 1


def test_the_default_cluster_can_be_set(fake: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name it is lab, or what LIMANI_CLUSTER says."""
    run("create")
    monkeypatch.setenv("LIMANI_CLUSTER", "other")
    run("create")
    assert fake.names() == ["lab", "other"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "none"], 1, "none"),
        (["node", "stop", "n1", "-c", "none"], 1, "no cluster 'none'"),
        (["process", "stop", "etcd", "-c", "none"], 1, "no cluster 'none'"),
        (["logs", "none"], 1, "no cluster 'none'"),
        (["create", "Bad"], 2, "'Bad'"),
        (["create", "--nodes", "99"], 2, "1 to 9"),
        (["create", "--node-disk", "n1=much"], 2, "much"),
    ],
)
def test_mistakes_get_a_sentence_and_a_hint(
    fake: FakeBackend, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """No traceback: the message, what to do next, and an exit code that tells bad input from failure."""
    with pytest.raises(SystemExit) as caught:
        main(["cluster", *arguments])
    assert caught.value.code == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "hint:" in shown
    assert fake.calls == []
