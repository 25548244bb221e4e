"""The command's manners: exit codes, no traceback, results on stdout, errors on stderr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limani.cli import main as cli
from limani.errors import AgentMissing
from limani.seed import task
from limani.seed.report import Report, failure, verdict


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(args))
    return int(caught.value.code or 0)


def test_help_loads_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists every command."""
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in cli.COMMANDS)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_can_be_loaded(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of commands points to things that exist."""
    assert run(name, "--help") == 0
    assert "Usage: limani" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["load", "Not/A/Name"], 2, "reference_invalid"),
        (["load", "a", "--rate", "fast"], 2, "rate"),
        (["load"], 2, "Name an image"),
        (["rmi", "a", "a"], 2, "more than once"),
        (["prune"], 2, "condition"),
        (["images", "--min-success", "x"], 2, "min_success"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_refused_in_words(
    args: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the user got wrong is named on stderr, with exit code 2 and no traceback, before any request."""
    config = tmp_path / "kubeconfig"
    config.write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}], "users": [],'
        ' "contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}'
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    assert run(*args) == code
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out


def test_failed_nodes_are_printed_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of nodes comes on stdout, the failure with its hint on stderr, the exit code is 1."""

    def fails(params: Any, **more: Any) -> dict[str, Any]:
        return verdict(Report({"n1": failure(AgentMissing("Node n1 has no agent.", node="n1"))}), None)

    monkeypatch.setattr(task, "node_image", fails)
    assert run("load", "a", "-o", "json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["nodes"]["n1"]["error"]["code"] == "agent_missing"
    assert "limani agent install" in shown.err


def test_interrupt_says_that_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with 130 and one calm line."""

    def stopped(params: Any, **more: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "node_image", stopped)
    assert run("load", "a") == 130
    assert "run again" in capsys.readouterr().err
