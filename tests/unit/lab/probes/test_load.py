"""The recorder's log: which change counts, and what was lost in it."""

from __future__ import annotations

import pytest

from limani.lab.probes._load import Change, last_answer, last_change

BEFORE = "now lost\nsteady lost\nwas lost 40\nnow 1\nsteady 1\nwas 1 82\n"
BACK = "now 2\nsteady 2\nwas 2 50\nnow 1\nsteady 1\nwas 1 30\n"
MIXED = "now 2\nwas 2 3\nnow 1\nwas 1 4\n"


@pytest.mark.parametrize(
    ("log", "change"),
    [
        (BEFORE + MIXED + "now 2\nsteady 2\n", Change(7, 0)),
        (BEFORE + "now lost\nsteady lost\nwas lost 25\nnow 2\nsteady 2\n", Change(0, 25)),
        (BEFORE + MIXED + "now lost\nwas lost 1\nnow 2\nsteady 2\n", Change(7, 1)),
        (BEFORE + "now 2\nsteady 2\nwas 2 50\nnow lost\nwas lost 9\nnow 2\nsteady 2\n", Change(0, 0)),
        (BEFORE + BACK + "now lost\nwas lost 2\nnow 2\nsteady 2", Change(0, 2)),
        (BEFORE + "now 3\nsteady 3\nwas 3 20\nnow 2\nsteady 2\n", None),
        (BEFORE + MIXED, None),
        (BEFORE, None),
        ("now 2\nsteady 2\n", None),
        ("", None),
        ("something else\nwas it\nsteady\n", None),
    ],
)
def test_the_last_finished_change_counts(log: str, change: Change | None) -> None:
    """From steady 1 to steady 2: what was lost before and after does not count, and another version is no change."""
    assert last_change(log, "1", "2") == change


@pytest.mark.parametrize(("log", "answer"), [(BEFORE, "1"), ("now lost\nsteady lost", "lost"), ("", "-")])
def test_the_last_answer_is_the_last_beginning(log: str, answer: str) -> None:
    """What the learner is told while there was no change yet."""
    assert last_answer(log) == answer
