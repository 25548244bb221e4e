"""Locks between processes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from limani.cluster import paths
from limani.cluster.native.lock import cluster_lock


@pytest.fixture(autouse=True)
def run_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Locks of a test are its own."""
    monkeypatch.setattr(paths, "RUN_ROOT", tmp_path)
    return tmp_path


def test_one_at_a_time_even_when_the_file_is_removed(run_root: Path) -> None:
    """The holder may remove the file (delete does); whoever waited still excludes whoever comes next."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(100):
            with cluster_lock("lab") as file:
                inside += 1
                most = max(most, inside)
                inside -= 1
                file.unlink()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(run_root.iterdir()) == []


def test_clusters_do_not_wait_for_each_other() -> None:
    """Locks are by name."""
    with cluster_lock("a"), cluster_lock("b"):
        pass


def test_the_lock_is_given_back_on_failure() -> None:
    """An error inside leaves no lock behind."""
    with pytest.raises(ValueError, match="inside"), cluster_lock("lab"):
        raise ValueError("inside")
    with cluster_lock("lab"):
        pass
