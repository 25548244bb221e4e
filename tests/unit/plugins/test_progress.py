"""Progress lines: not too many, the newest of every node, and never where they disturb."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("importable")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_are_rare_and_the_newest_of_each_node():
    """Within two seconds one line per node is shown, the newest; nothing at all in the first two seconds."""
    from ansible_collections.limani.nodes.plugins.plugin_utils._progress import Progress

    shown: list[str] = []
    clock = Clock()
    progress = Progress(shown.append, set(), clock)
    for percent in range(10):
        progress(f"n1: {percent} %")
    progress("n2: 50 %")
    assert shown == []
    clock.now = 2.0
    progress("n1: 60 %")
    assert shown == ["n1: 60 %", "n2: 50 %"]
    progress("n1: 70 %")
    assert len(shown) == 2


def test_secrets_in_a_line_are_masked():
    """A secret that finds its way into a progress line is not shown."""
    from ansible_collections.limani.nodes.plugins.plugin_utils._progress import Progress

    shown: list[str] = []
    clock = Clock()
    progress = Progress(shown.append, {"hunter2"}, clock)
    clock.now = 3.0
    progress("n1: password hunter2")
    assert len(shown) == 1
    assert "hunter2" not in shown[0]


@pytest.mark.parametrize(
    ("choice", "callback", "check", "expected"),
    [
        (None, "default", False, True),
        (None, "default", True, False),
        (None, "ansible.posix.json", False, False),
        (None, "jsonl", False, False),
        ("off", "default", False, False),
        ("on", "json", False, True),
        ("on", "default", True, False),
        ("auto", "default", False, True),
    ],
)
def test_when_progress_is_wanted(monkeypatch, choice, callback, check, expected):
    """Off in check mode and by LIMANI_PROGRESS=off; by itself off where standard output is for a program."""
    from ansible_collections.limani.nodes.plugins.plugin_utils import _progress

    monkeypatch.delenv("LIMANI_PROGRESS", raising=False)
    if choice:
        monkeypatch.setenv("LIMANI_PROGRESS", choice)
    monkeypatch.setattr(_progress.constants.config, "get_config_value", lambda name: callback)
    assert _progress.wanted(check) is expected
