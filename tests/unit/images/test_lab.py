"""What the images of the lessons are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from images.lab import build
from limani.image.reference import Reference


def test_names() -> None:
    """The five images the lessons may name, each with a full name that is a valid reference."""
    found = build.images()
    assert [image.name for image in found] == ["shell:1", "hello:1", "web:1", "web:2", "client:1"]
    assert all(str(Reference.parse(image.reference)) == f"limani.dev/lab/{image.name}" for image in found)


def test_servers_are_unprivileged() -> None:
    """What serves requests does so as nobody, on a port above 1024, through the program that heeds signals."""
    for image in build.images():
        if image.name.startswith(("web", "client")):
            assert image.config["User"] == "65534:65534"
            assert list(image.config["ExposedPorts"]) == ["8080/tcp"]
            assert image.config["Entrypoint"] == ["/usr/bin/serve", "/srv"]


@pytest.mark.parametrize("name", sorted(path.name for path in build.FILES.iterdir() if path.suffix != ".txt"))
def test_programs_are_shell_scripts_without_errors_of_syntax(name: str) -> None:
    """Every program of the images is a script that a POSIX shell can parse, and may be executed."""
    path = Path(build.FILES / name)
    assert path.read_text().startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", path], capture_output=True, check=False).stderr == b""
