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
    monkeypatch.setattr(paths, "RUN_ROOT", tmp_path / "run")
    monkeypatch.setenv("LIMANI_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "run"


def test_one_at_a_time_even_when_the_file_is_removed(run_root: Path) -> None:
    """Without a cluster the file goes each time; whoever waited for it still excludes whoever comes next."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(100):
            with cluster_lock("lab"):
                inside += 1
                most = max(most, inside)
                inside -= 1

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


def test_the_file_stays_as_long_as_the_cluster(run_root: Path) -> None:
    """A cluster's lock is kept; one of a name that stands for nothing is not left behind, also after an error."""
    spec = run_root.parent / "state" / "lab" / "spec.json"
    spec.parent.mkdir(parents=True)
    spec.touch()
    with cluster_lock("lab"):
        pass
    with pytest.raises(ValueError, match="refused"), cluster_lock("never"):
        raise ValueError("refused")
    assert [path.name for path in run_root.iterdir()] == ["lab.lock"]
    with cluster_lock("lab"):
        spec.unlink()
    assert list(run_root.iterdir()) == []
