"""Run all tests and linters part by part: ``scripts/test.py [PART]...`` (default: all).

Every part runs, also after one has failed; the last lines are a table and ``N passed, N failed, N skipped``. The exit
code is 0 only if nothing failed. A part that takes longer than its limit is ended and has failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".make"


@dataclass(frozen=True)
class Part:
    """One kind of check. ``report``: where pytest writes its JUnit report; other commands count as one check."""

    name: str
    what: str
    command: Sequence[str]
    limit_s: int
    report: Path | None = None
    root: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a part."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    note: str = ""


def pytest(name: str, what: str, limit_s: int, *arguments: str, root: bool = False) -> Part:
    """A part that pytest runs."""
    report = REPORTS / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "--durations=5", *arguments]
    return Part(name, what, command, limit_s, report, root)


# Both name how their tests are spread over the two processes, in their conftest.py.
INTEGRATION = ("tests/integration", "-n", "2")
LESSONS = ("tests/lab", "-n", "2")
TWO_BROWSERS = ("tests/site", "-m", "site", "-n", "2", "--dist", "loadfile")
PARTS = (
    Part("lint", "every linter, ansible-test sanity among them", ["scripts/lint.sh"], 900),
    pytest("unit", "unit tests", 600, "-n", "2", "-m", "not integration and not site"),
    Part("prepare", "programs of the lab cluster, the agent's image", [sys.executable, "scripts/setup_lab.py"], 1800),
    pytest("integration", "tests on a real cluster", 2400, *INTEGRATION, root=True),
    pytest("lab", "every lesson on a real daemon and a real cluster", 1200, *LESSONS, root=True),
    pytest("site", "site and web terminal in a real browser", 900, *TWO_BROWSERS),
    Part("molecule", "molecule scenarios on a real cluster", ["scripts/molecule.sh"], 1500, root=True),
)


def main(names: list[str]) -> int:
    """Run the parts of those names, or all."""
    known = {part.name: part for part in PARTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"test: no part {', '.join(unknown)}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    REPORTS.mkdir(exist_ok=True)
    chosen = [known[name] for name in names] or list(PARTS)
    outcomes = {part.name: run(part) for part in chosen}
    return summary(outcomes)


def run(part: Part) -> Outcome:
    """Run one part with its output on ours."""
    print(f"\n=== {part.name}: {part.what}", flush=True)
    if part.root and os.geteuid() != 0:
        print(f"{part.name} needs root for network namespaces, mounts and cgroups; run: sudo make test", flush=True)
        return Outcome(0, 0, 1, 0.0, "needs root")
    if part.report:
        part.report.unlink(missing_ok=True)
    begun = time.monotonic()
    try:
        code, note = end_after(part.limit_s, part.command), ""
    except TimeoutError:
        code, note = 1, f"ended after {part.limit_s} s"
    except OSError as error:
        code, note = 1, f"{part.command[0]}: {error.strerror}"
    seconds = time.monotonic() - begun
    passed, failed, skipped = counts(part.report) if part.report else (int(code == 0), int(code != 0), 0)
    if code and not failed:
        failed, note = 1, note or f"exit code {code}"
    return Outcome(passed, failed, skipped, seconds, note)


def end_after(limit_s: int, command: Sequence[str]) -> int:
    """Run ``command`` in its own session and return its exit code; raises TimeoutError after ending all of it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    # A shell that started us in the background has us ignore it, and what we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True) as process:
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            stop(process, signal.SIGINT)
            raise TimeoutError from error
        except BaseException:
            stop(process, signal.SIGINT)
            raise


def stop(process: subprocess.Popen[bytes], first: signal.Signals) -> None:
    """Ask the session to end so that fixtures clean up, then make it."""
    ask: Callable[[signal.Signals], None] = lambda kind: os.killpg(process.pid, kind)  # noqa: E731
    ask(first)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        ask(signal.SIGKILL)
        process.wait()


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped of a JUnit report; an unreadable one is no pass."""
    try:
        suites = ElementTree.parse(report).getroot().iter("testsuite")  # noqa: S314 - written by our own pytest
        numbers = [[int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")] for suite in suites]
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0
    total, failures, errors, skipped = (sum(column) for column in zip(*numbers, strict=True))
    # A test that passes and then fails while cleaning up is one test with an error.
    return max(0, total - failures - errors - skipped), failures + errors, skipped


def summary(outcomes: dict[str, Outcome]) -> int:
    """Print the table and the closing line."""
    print(f"\n{'part':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for name, outcome in outcomes.items():
        numbers = f"{outcome.passed:>8}{outcome.failed:>8}{outcome.skipped:>9}{outcome.seconds:>9.0f}"
        print(f"{name:<14}{numbers}  {outcome.note}".rstrip())
    passed, failed, skipped = (
        sum(getattr(o, key) for o in outcomes.values()) for key in ("passed", "failed", "skipped")
    )
    print(f"{'':<14}{'':>25}{sum(o.seconds for o in outcomes.values()):>9.0f}\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
