"""Real runtimes, one of each for a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engine.daemons import Daemon, containerd, containerd_folders, dockerd, dockerd_folder


@pytest.fixture(scope="session", params=containerd_folders() or [None], ids=str)
def containerd_daemon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A private containerd, once for every version to test."""
    if request.param is None:
        pytest.skip("there is no containerd here")
    with containerd(request.param, _short(tmp_path_factory)) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def dockerd_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A private dockerd."""
    folder = dockerd_folder()
    if folder is None:
        pytest.skip("there is no dockerd here")
    with dockerd(folder, _short(tmp_path_factory)) as daemon:
        yield daemon


def _short(factory: pytest.TempPathFactory) -> Path:
    """A folder for a daemon; the path of a unix socket has 107 bytes at most."""
    folder = factory.mktemp("rt")
    assert len(str(folder)) < 80
    return folder
