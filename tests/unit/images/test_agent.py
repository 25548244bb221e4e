"""What the agent's image is made of."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from images import wheels
from images.agent import build
from images.cache import ROOT

# Import name -> distribution, where they differ.
DISTRIBUTIONS = {"google": "protobuf", "grpc": "grpcio"}


def test_requirements_are_those_of_pyproject() -> None:
    """Names and ranges come from pyproject.toml: the extra "agent" and the few base dependencies the agent imports."""
    table = build.project()
    wanted = build.requirements()
    assert set(table["optional-dependencies"]["agent"]) < set(wanted)
    assert set(wanted) <= {*table["dependencies"], *table["optional-dependencies"]["agent"]}


def test_everything_the_agent_imports_is_in_the_image() -> None:
    """Whatever module outside the standard library the node's rooms import is among the requirements."""
    names = {re.split(r"[<>=\[~!]", text)[0].lower() for text in build.requirements()}
    lacking = {name for name in imported() if DISTRIBUTIONS.get(name, name).lower() not in names}
    assert lacking == set()


def imported() -> set[str]:
    """Top-level modules that the rooms import which run on a node."""
    source = ROOT / "src/limani"
    files = [path for room in ("agent", "engine", "image") for path in (source / room).rglob("*.py")]
    server = [path for path in (source / "distribution").rglob("*.py") if "httpx2" not in path.read_text()]
    found: set[str] = set()
    for path in [*files, *server, source / "wire.py", source / "errors.py", source / "kube/incluster.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"limani"}


def test_configuration_runs_the_agent_as_root() -> None:
    """The entry point is the agent's module; the runtime's socket belongs to root."""
    config = build.configuration()
    assert config["Entrypoint"][-2:] == ["-m", "limani.agent"]
    assert config["User"] == "0"


def test_prune_removes_files_and_empty_folders(tmp_path: Path) -> None:
    """Tests and C sources of wheels go, with the folders that held nothing else."""
    for name in ("package/__init__.py", "package/tests/test_it.py", "package/fast.c", "package/fast.so"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    wheels.prune(tmp_path, wheels.USELESS)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "package/__init__.py",
        "package/fast.so",
    ]
    assert not (tmp_path / "package/tests").exists()


def test_own_sources_exist() -> None:
    """Everything Limani's wheel is made of is there under that name."""
    assert [name for name in wheels.OWN if not (ROOT / name).exists()] == []
    assert [room for room in wheels.ELSEWHERE if not (ROOT / "src/limani" / room).is_dir()] == []
    assert {path.name for path in wheels.own()} >= {"agent", "engine", "errors.py", "pyproject.toml"}
