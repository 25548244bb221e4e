"""scripts/test.py counts honestly."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner_under_test", ROOT / "scripts/test.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_counts_of_a_report(runner: ModuleType, tmp_path: Path) -> None:
    """Failures and errors both count as failed, and are not among the passed."""
    report = tmp_path / "r.xml"
    report.write_text('<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>')
    assert runner.counts(report) == (4, 3, 3)


def test_no_report_is_no_pass(runner: ModuleType, tmp_path: Path) -> None:
    """A missing or damaged report counts nothing as passed."""
    report = tmp_path / "r.xml"
    assert runner.counts(report) == (0, 0, 0)
    report.write_text("<testsuites>")
    assert runner.counts(report) == (0, 0, 0)


@pytest.mark.parametrize(
    ("script", "passed", "failed"),
    [("exit 0", 1, 0), ("exit 3", 0, 1), ("kill -9 $$", 0, 1)],
    ids=["ok", "bad", "killed"],
)
def test_a_command_is_one_check(runner: ModuleType, script: str, passed: int, failed: int) -> None:
    """A part that is no pytest run counts by its exit code."""
    outcome = runner.run(runner.Part("x", "a command", ["sh", "-c", script], 20))
    assert (outcome.passed, outcome.failed) == (passed, failed)


def test_a_missing_command_fails(runner: ModuleType) -> None:
    """A part whose script is not there has failed, and says why."""
    outcome = runner.run(runner.Part("x", "nothing", ["scripts/there-is-no-such-script"], 20))
    assert outcome.failed == 1
    assert "No such file" in outcome.note


def test_pytest_that_runs_nothing_fails(runner: ModuleType, tmp_path: Path) -> None:
    """pytest's exit code 5 for an empty run is a failure, though its report counts none."""
    report = tmp_path / "r.xml"
    report.write_text('<testsuites><testsuite tests="0" failures="0" errors="0" skipped="0"/></testsuites>')
    script = f"cp {report} {tmp_path}/out.xml; exit 5"
    outcome = runner.run(runner.Part("x", "empty", ["sh", "-c", script], 20, tmp_path / "out.xml"))
    assert (outcome.passed, outcome.failed) == (0, 1)


def test_a_part_is_ended_after_its_limit(runner: ModuleType) -> None:
    """What takes too long is ended with everything it has started, and has failed."""
    outcome = runner.run(runner.Part("x", "endless", ["sh", "-c", "sleep 600 & wait"], 1))
    assert outcome.failed == 1
    assert outcome.note == "ended after 1 s"


def test_closing_line(runner: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line is the total, and one failure anywhere makes the exit code 1."""
    outcomes = {"a": runner.Outcome(3, 0, 1, 1.0), "b": runner.Outcome(1, 1, 0, 2.0)}
    assert runner.summary(outcomes) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "4 passed, 1 failed, 1 skipped"
