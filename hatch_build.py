"""Compiles the agent's gRPC messages when Limani is built or installed, and adds the lessons to a wheel.

``python hatch_build.py`` does the same by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, without hatchling
    BuildHookInterface = object  # type: ignore[assignment, misc]

ROOT = Path(__file__).resolve().parent
PROTOS = Path("src/limani/engine/containerd/protos")
PACKAGE = "limani/engine/containerd/_pb"


def generate(root: Path = ROOT) -> list[Path]:
    """Compile every file of ``protos/`` into the package ``limani.engine.containerd._pb``; returns the modules written.

    protoc sees the files under the package's path (``-Ivirtual=disk``), so the modules import each other by their full
    names. Only messages are generated: the RPC table of ``rpc.py`` reads the services from the descriptors.
    """
    import grpc_tools  # type: ignore[import-untyped]  # needed to build, not to run
    from grpc_tools import protoc

    sources = sorted((root / PROTOS).glob("*.proto"))
    target = root / "src" / PACKAGE
    target.mkdir(exist_ok=True)
    for stale in target.glob("*_pb2.py*"):
        stale.unlink()
    (target / "__init__.py").write_text('"""Generated from ../protos by hatch_build.py; not in version control."""\n')
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"--proto_path={PACKAGE}={root / PROTOS}",
        f"--proto_path={well_known}",
        f"--python_out={root / 'src'}",
        f"--pyi_out={root / 'src'}",
        *(f"{PACKAGE}/{source.name}" for source in sources),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed; its messages are above")
    for stub in target.glob("*_pb2.pyi"):  # protoc's stubs are right, though not strictly so
        stub.write_text("# mypy: ignore-errors\n" + stub.read_text())
    return sorted(target.glob("*_pb2.py"))


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook: runs before a wheel or an editable install is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the modules (artifacts in pyproject.toml); a wheel carries the lessons, where they are."""
        generate(Path(self.root))
        labs = Path(self.root) / "labs"
        if version != "editable" and labs.is_dir():
            build_data["force_include"][str(labs)] = "limani/lab/lessons"


if __name__ == "__main__":
    for path in generate():
        print(path.relative_to(ROOT))
