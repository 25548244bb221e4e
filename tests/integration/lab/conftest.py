"""A Docker daemon of a lab's own, with the images of the lessons."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from limani.lab import bundle
from limani.lab.place.docker import DockerPlace, docker_down, docker_up, load_docker


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer has set for a lab of their own decides nothing here."""
    for name in ("DOCKER_HOST", "LIMANI_LAB_CLUSTER", bundle.VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def docker_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerPlace]:
    """A daemon of its own that has all images; ended and removed afterwards."""
    if os.geteuid() or shutil.which("dockerd") is None:
        pytest.skip("needs root and dockerd (package docker.io)")
    home: Path = tmp_path_factory.mktemp("lab")
    place = docker_up(home, "own", print)
    try:
        load_docker(place, [image.reference for image in bundle.find().images])
        yield place
    finally:
        docker_down(home)
