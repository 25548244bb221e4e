"""What ``limani lab`` prints, and its exit codes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from limani.cli import lab_output
from limani.cli.lab import lab as command
from limani.lab import probes, runner, texts
from limani.lab.record import Finding, Status, Text, failed, passed
from limani.lab.state import Attempt, Store
from limani.lab.world import World

WANTED = Text("check.unreachable_wanted")


@pytest.fixture
def started(labs: Path, home: Path) -> Store:
    """The toy lesson, started on a daemon that is not there."""
    store = Store(home)
    with store.change() as state:
        state.current = "toy"
        state.lessons["toy"] = Attempt(
            phase="ready", values={"token": "t1", "greeting": "hello"}, docker_host="unix:///nowhere/docker.sock"
        )
    (home / "work" / "toy").mkdir(parents=True)
    return store


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """What the checks of the toy find, by probe."""
    told: dict[str, Finding] = {}

    def get(name: str) -> probes.Probe:
        async def probe(world: World, **given: object) -> Finding:
            return told.get(name, passed(WANTED, WANTED))

        return probe

    monkeypatch.setattr(runner, "probes", SimpleNamespace(get=get))
    return told


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# Docker's client does not close the socket of a connection that could not be made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("started")
def test_a_daemon_that_is_not_there_is_not_the_learners_fault() -> None:
    """Unknown, with the way to find out more; the exit code is not that of a lesson that passes."""
    result = run("check")
    gc.collect()
    assert result.return_value == 1
    assert result.output.startswith("unknown  The container toy runs\n")
    assert "limani lab doctor" in result.output


@pytest.mark.usefixtures("started", "answer")
def test_the_exit_code_is_0_only_if_all_passes(answer: dict[str, Finding]) -> None:
    """Passing and failing checks, told by a word at the beginning of the line, without colour codes."""
    result = run("check")
    assert result.return_value == 0
    assert result.output.splitlines()[:2] == ["pass     The container toy runs", "pass     It said hello"]
    answer["docker.logs_hold"] = failed(WANTED, WANTED)
    result = run("check")
    assert result.return_value == 1
    assert result.output.splitlines()[1] == "fail     It said hello"
    for label in ("found:", "wanted:", "why:", "next:"):
        assert label in result.output
    assert "\x1b" not in result.output


@pytest.mark.usefixtures("started", "answer")
def test_greek_is_greek(answer: dict[str, Finding]) -> None:
    """With --lang el every line of a failing check is Greek."""
    answer["docker.running"] = failed(WANTED, WANTED)
    result = run("check", "--lang", "el")
    assert result.output.startswith(texts.say("el", "status.fail"))
    for key in ("label.found", "label.wanted", "label.why", "label.next"):
        assert texts.say("el", key) + ":" in result.output


@pytest.mark.usefixtures("started", "answer")
def test_json_is_for_programs(answer: dict[str, Finding]) -> None:
    """-o json gives the records with all their keys."""
    answer["docker.running"] = failed(WANTED, WANTED, "ended", exit_code=1)
    data = json.loads(run("check", "-o", "json").output)
    assert (data["lesson"], data["passed"]) == ("toy", False)
    first = data["checks"][0]
    assert first.keys() == {"id", "status", "title", "found", "wanted", "why", "next", "cause", "evidence"}
    assert (first["status"], first["cause"], first["evidence"]) == ("fail", "ended", {"exit_code": 1})


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_only_on_a_terminal_that_wants_it(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, no_color: str, coloured: bool
) -> None:
    """NO_COLOR and pipes get none; the word is there in any case."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    said = lab_output.coloured("fail", lab_output.COLOURS[Status.FAIL])
    assert "fail" in said
    assert ("\x1b" in said) == coloured


@pytest.mark.usefixtures("answer")
def test_hints_are_recorded_and_grow(started: Store, answer: dict[str, Finding]) -> None:
    """Each call for the same failing check tells more; after success all of it is told and nothing is recorded."""
    answer["docker.running"] = failed(WANTED, WANTED)
    sizes = [len(run("hint").output.splitlines()) for _ in range(4)]
    assert sizes[0] < sizes[1]
    assert sizes[2] == sizes[3]
    assert started.read().progress["toy"].hints == {"running": 3}
    del answer["docker.running"]
    assert "docker run" in run("hint", "--check", "running").output
    run("hint", "--check", "logs")
    assert started.read().progress["toy"].hints == {"running": 3}


@pytest.mark.usefixtures("answer")
def test_progress_is_remembered_and_next_goes_on(started: Store) -> None:
    """A lesson all of whose checks passed once is passed; next names the following one."""
    assert "limani lab start toy" in run("next").output
    run("check")
    assert [line.split()[-1] for line in run("list").output.splitlines()[1:]] == ["current", "new"]
    assert "limani lab start toy-pod" in run("next").output
    assert json.loads(run("status", "-o", "json").output)["passed"] == 1


@pytest.mark.parametrize(("lang", "greek"), [("el", True), ("en", False)])
def test_errors_are_told_in_the_learners_language(home: Path, labs: Path, lang: str, greek: bool) -> None:
    """In Greek the kind of error and what to do come first, then the English words with the facts."""
    limani = Path(sys.executable).with_name("limani")
    command = [limani, "lab", "check", "--lang", lang]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "[lesson_not_started]" in done.stderr
    assert ("Ξεκινήστε ένα: limani lab start first-success" in done.stderr) == greek


@pytest.mark.usefixtures("started")
def test_env_can_be_evaluated(home: Path) -> None:
    """A shell that evaluates the output has the lab's daemon and finds its programs first."""
    script = f'{run("env").output}\nprintf \'%s %s\' "$DOCKER_HOST" "${{PATH%%:*}}"'
    done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"unix:///nowhere/docker.sock {home}/bin"


@pytest.mark.usefixtures("started")
def test_the_page_is_text_with_the_learners_values() -> None:
    """Steps are commands with the values of this lab, files have their content."""
    text = run("read").output
    assert text.startswith("# Toy\n")
    assert "docker run -d --name toy -e TOKEN=t1 limani.dev/lab/web:1" in text
    assert "`token.txt`:\n\n```\nt1\n```" in text
    assert "{#" not in text
